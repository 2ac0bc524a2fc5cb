"""Which rows a reader wants to see, in the words that addresses and commands have for columns."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from psycopg import sql

COLUMNS = {
    "project": "project_id",
    "customer": "customer_id",
    "team": "team_id",
    "agent": "agent_sub",
    "owner": "agent_owner",
    "person": "sso_sub",
    "task": "task_id",
    "epic": "epic_id",
    "class": "task_class",
    "model": "coalesce(model_used, model_requested)",
    "family": "model_family",
    "provider": "provider",
    "key": "key_id",
    "decision": "decision",
    "reason": "reason",
    "status": "status_code",
    "binding": "binding_status",
    "entry": "entry",
    "source": "source",
    "repo": "repo",
    "branch": "branch",
    "cost_center": "cost_center",
    "gl": "gl_code",
    "level": "attribution_level",
}
"""Selector -> what it narrows in `vis.request_logs`."""
NOTHING = "-"
"""Selects the rows that name nothing there."""
_NUMBERS = frozenset({"status", "level"})


class BadFilter(ValueError):
    """A value that no row could have, in words for whoever gave it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """`named` has selectors with their values, in the order of COLUMNS; `since` and `until` are half open."""

    named: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    original: bool = False
    """Whether corrections are left out."""

    @classmethod
    def of(
        cls,
        named: dict[str, str | None],
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        original: bool = False,
    ) -> Self:
        """Without what selects nothing; numbers and ids in the one spelling that sums have. Raises BadFilter."""
        chosen = tuple((name, str(_typed(name, value))) for name in COLUMNS if (value := named.get(name)))
        return cls(chosen, since, until, original)

    def get(self, selector: str) -> str | None:
        return dict(self.named).get(selector)

    def without(self, selector: str) -> Self:
        return replace(self, named=tuple(one for one in self.named if one[0] != selector))

    def condition(self, org_id: UUID) -> sql.Composed:
        """The condition on `vis.request_logs`; values are literals that psycopg quotes."""
        parts: list[sql.Composable] = [sql.SQL("org_id = {}").format(org_id)]
        if self.since:
            parts.append(sql.SQL("created_at >= {}").format(self.since))
        if self.until:
            parts.append(sql.SQL("created_at < {}").format(self.until))
        if self.original:
            parts.append(sql.SQL("entry <> 'correction'"))
        for name, value in self.named:
            column = sql.SQL(COLUMNS[name])
            if value == NOTHING:
                parts.append(sql.SQL("{} is null").format(column))
            else:
                parts.append(sql.SQL("{} = {}").format(column, _typed(name, value)))
        return sql.SQL(" and ").join(parts)


def _typed(name: str, value: str) -> str | int | UUID:
    if "\0" in value:
        raise BadFilter("a filter cannot hold NUL")
    if value == NOTHING:
        return value
    if name == "key":
        try:
            return UUID(value)
        except ValueError:
            raise BadFilter(f"expected the id of a key, and key={value} came") from None
    if name in _NUMBERS:
        if not (value.isascii() and value.isdigit() and len(value) < 5):
            raise BadFilter(f"expected a number, and {name}={value} came")
        return int(value)
    return value
