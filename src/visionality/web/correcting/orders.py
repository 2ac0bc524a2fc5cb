"""Corrections are ordered here, and the jobs carry them out (promise A6). Run inside `web.start.organisation_context`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from django.db import connection

from visionality.chargeback.queue import Choice, Group, Queue, Selection, named
from visionality.core.correction import BY_AN_OPERATOR, CORRECTABLE, MOST_ROWS
from visionality.core.queue_cause import Known
from visionality.runtime.sql import statements
from visionality.web.correcting.models import CorrectionOrder
from visionality.web.policy.acts import Act, BadName, Unknown, found
from visionality.web.policy.mapping import current
from visionality.web.policy.models import EndCustomer, Project

_SQL = statements("visionality.web.correcting", "orders.sql")


@dataclass(frozen=True, slots=True)
class Booking:
    """What rows are to be booked on; empty is what was not said."""

    project: str
    customer: str = ""
    task: str = ""
    epic: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """An order that was carried out. Per currency its rows, and the nano-dollars reversed and booked again."""

    rows: int
    missing: int
    moved: dict[str, dict[str, str]]


def waiting(act: Act, start: datetime, end: datetime, *, include_sandbox: bool) -> list[Group]:
    """What waits in the queue, by cause, the dearest first."""
    return _queue(act, start, end, include_sandbox=include_sandbox).groups()


def choose(act: Act, start: datetime, end: datetime, choice: Choice, *, include_sandbox: bool) -> Selection:
    """The waiting rows that are meant. Raises Unknown when there are none."""
    selection = _queue(act, start, end, include_sandbox=include_sandbox).chosen(choice)
    if not selection.rows:
        raise Unknown("no row of the queue is meant: `vis queue list` shows what waits")
    return selection


def pick(act: Act, ids: Sequence[UUID]) -> Selection:
    """The rows of these ids, whatever they are booked on. Raises Unknown and BadName."""
    rows = {row["id"]: row for row in named(_raw(), act.org_id, ids)}
    selection = Selection()
    for row_id in dict.fromkeys(ids):
        row = rows.get(row_id)
        if row is None:
            raise Unknown(f"there is no row {row_id}: `vis ledger tail --json` shows ids")
        if row["entry"] not in CORRECTABLE:
            raise BadName(
                f"row {row_id} is a {row['entry']}: correct the row that it is of, {row['corrects']}"
            )
        selection.add(row)
    return selection


def order(act: Act, rows: Sequence[tuple[UUID, datetime]], to: Booking, reason: str) -> list[UUID]:
    """Order that rows be reversed and booked again. Returns the ids of the orders, one for each 10,000 rows.

    Raises Unknown for a project or a customer that is not there.
    """
    project = found(act, Project, "project", key=to.project)
    customer = found(act, EndCustomer, "customer", key=to.customer) if to.customer else None
    level, confidence = BY_AN_OPERATOR
    made = [
        CorrectionOrder.objects.create(
            org_id=act.org_id,
            author=act.actor,
            reason=reason,
            project=project,
            customer=customer,
            task_id=to.task,
            epic_id=to.epic,
            level=level,
            confidence=confidence,
            rows=[[str(row_id), at.isoformat()] for row_id, at in rows[start : start + MOST_ROWS]],
            made_at=act.now,
        )
        for start in range(0, len(rows), MOST_ROWS)
    ]
    for one in made:
        detail = {"correction_id": str(one.id), "rows": str(len(one.rows)), "reason": reason}
        said = {"project": to.project, "customer": to.customer, "task": to.task, "epic": to.epic}
        act.record("correction_ordered", detail | {name: text for name, text in said.items() if text})
    return [one.id for one in made]


def is_order(act: Act, correction_id: UUID) -> bool:
    """Whether the organisation has this order."""
    return CorrectionOrder.objects.filter(org_id=act.org_id, id=correction_id).exists()


def done(act: Act, correction_ids: Sequence[UUID]) -> list[Done]:
    """Those of the orders that were carried out."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL["done"], {"org_id": act.org_id, "ids": list(correction_ids)})
        return [Done(rows, missing, msgspec.json.decode(moved)) for rows, missing, moved in cursor.fetchall()]


def recent(act: Act, most: int) -> list[dict[str, Any]]:
    """The newest orders, with what they moved; `moved` and `missing` are None for those that wait for the jobs."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL["recent"], {"org_id": act.org_id, "most": most})
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [one | {"moved": one["moved"] and msgspec.json.decode(one["moved"])} for one in found]


def _queue(act: Act, start: datetime, end: datetime, *, include_sandbox: bool) -> Queue:
    here = current(act)
    known = Known(
        here.projects,
        {alias.upper() for alias in here.aliases},
        {name: repo.project for name, repo in here.repos.items()},
    )
    return Queue(_raw(), act.org_id, start, end, known, include_sandbox)


def _raw() -> psycopg.Connection[Any]:
    """The connection of this transaction, as psycopg has it."""
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    return raw
