"""Which rows a chargeback is about, whatever its form.

A row counts when it stands for served work: refusals and free catalogue look-ups cost nothing and are left out, and what
the simulated provider answered is left out unless it is asked for.
"""

from datetime import datetime
from uuid import UUID

from psycopg import sql

from visionality.ledger.filter import COLUMNS

SELECTORS = ("project", "task", "epic", "team", "agent", "owner", "customer")
"""What an export can be narrowed to."""
_SERVED = sql.SQL(
    "(decision = 'allowed' or cost_nusd <> 0) and (task_class is distinct from 'catalogue' or cost_nusd <> 0)"
)


def rows_of(
    org_id: UUID,
    start: datetime,
    end: datetime,
    wanted: dict[str, str],
    *,
    include_sandbox: bool,
    original: bool = False,
) -> sql.Composed:
    """The condition on `vis.request_logs` for a half-open range; `wanted` maps a selector to its value.

    `original` leaves corrections out, so that each row counts where it was booked at first.
    """
    asked = asked_of(org_id, start, end, wanted, include_sandbox=include_sandbox, original=original)
    return sql.SQL(" and ").join([asked, _SERVED])


def asked_of(
    org_id: UUID,
    start: datetime,
    end: datetime,
    wanted: dict[str, str],
    *,
    include_sandbox: bool,
    original: bool = False,
) -> sql.Composed:
    """The same, with what was asked for and not served."""
    parts: list[sql.Composable] = [
        sql.SQL("org_id = {}").format(org_id),
        sql.SQL("created_at >= {} and created_at < {}").format(start, end),
    ]
    if not include_sandbox:
        parts.append(sql.SQL("provider <> 'sandbox'"))
    if original:
        parts.append(sql.SQL("entry <> 'correction'"))
    parts += [
        sql.SQL("{} = {}").format(sql.Identifier(COLUMNS[selector]), value)
        for selector, value in wanted.items()
    ]
    return sql.SQL(" and ").join(parts)
