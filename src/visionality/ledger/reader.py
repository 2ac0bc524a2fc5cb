"""Rows and totals, one organisation at a time, under row security.

Everything here runs in one transaction that has named its organisation; the role sees nothing otherwise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from visionality.core.money import usd
from visionality.core.row import NIL
from visionality.ledger.filter import NOTHING, Filter
from visionality.ledger.sums import SUMS, Dim, midnight
from visionality.runtime.ids import made_at
from visionality.runtime.sql import statements

_SQL = statements("visionality.ledger.sql", "reader.sql")

Record = dict[str, Any]
Mark = tuple[datetime, UUID]
"""Where a row stands among all: its `created_at` and id."""
_NEVER = datetime.max.replace(tzinfo=UTC)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_A_DAY = timedelta(days=1)
SPANS = 4
"""Spans of days that are looked at one by one."""

_INDEXED = frozenset({"project", "agent", "task"})
"""What an index of the ledger begins with."""
_SUMMED: dict[str, Dim] = {
    "customer": "customer",
    "team": "team",
    "person": "person",
    "epic": "epic",
    "class": "task_class",
    "model": "model",
    "provider": "provider",
    "key": "key",
    "repo": "place",
    "cost_center": "cost_center",
    "gl": "gl_code",
    "level": "level",
}
"""Selector -> the dimension of the daily sums that knows on which days there are such rows."""

CLOCKS_APART = timedelta(minutes=5)
"""How far the clocks of the machines that write may differ."""
CALL_ROWS_COME_WITHIN = timedelta(days=31)
"""A call lasts an hour at most; its true-up may take a settlement of the provider."""


@dataclass(slots=True)
class Tail:
    """Where a live reader is: the last number seen of each writer."""

    since: datetime
    seen: dict[int, int] = field(default_factory=dict)


@contextmanager
def reading(dsn: str, org_id: UUID, *, snapshot: bool = False) -> Iterator[psycopg.Connection[Record]]:
    """A read-only transaction for one organisation. `snapshot` makes all its queries see one moment."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        connection.read_only = True
        if snapshot:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        scope(connection, org_id)
        yield connection


def scope(connection: psycopg.Connection[Any], org_id: UUID) -> None:
    """Name the organisation of this transaction."""
    connection.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])


def newest(
    connection: psycopg.Connection[Record],
    org_id: UUID,
    wanted: Filter,
    limit: int = 50,
    before: Mark | None = None,
    after: Mark | None = None,
) -> list[Record]:
    """The newest rows, newest first; `before` is the mark of the last row of the page above.

    Given `after`, the mark of a page's first row, it is the rows just above that page.
    """
    condition = wanted.condition(org_id)
    if after:
        at, row_id = after
        query = _query("above", condition)
        return connection.execute(query, {"limit": limit, "after": at, "after_id": row_id}).fetchall()[::-1]
    at, row_id = before or (_NEVER, NIL)
    given = {"limit": limit, "before": at, "before_id": row_id}
    rows: list[Record] = []
    for part in _parts(connection, org_id, wanted):
        given["limit"] = limit - len(rows)
        rows += connection.execute(_query("newest", part.condition(org_id)), given).fetchall()
        if len(rows) == limit:
            break
    return rows


def _parts(connection: psycopg.Connection[Record], org_id: UUID, wanted: Filter) -> list[Filter]:
    """The filter for the spans of days on which there can be such rows, the last one first.

    So what is rare, or is not there at all, is not looked for among all rows. What an index of the ledger finds, and what the daily
    sums are not by, is one part.
    """
    named = dict(wanted.named)
    summed = [(dim, value) for name, value in named.items() if (dim := _SUMMED.get(name))]
    if not summed or _INDEXED & named.keys():
        return [wanted]
    one = sql.SQL(_SQL["summed"])
    keys = [
        one.format(org_id=org_id, dim=dim, key="" if value == NOTHING else value) for dim, value in summed
    ]
    query = sql.SQL(_SQL["days"]).format(summed=sql.SQL(" intersect ").join(keys), tail=sql.SQL(SUMS["tail"]))
    given = {"org_id": org_id, "start": wanted.since or _EVER, "end": wanted.until or _NEVER}
    days = [record["day"] for record in connection.execute(query, given)]
    return [
        replace(wanted, since=max(since, wanted.since or since), until=min(until, wanted.until or until))
        for since, until in _spans(days)
    ]


def _spans(days: Sequence[date]) -> list[tuple[datetime, datetime]]:
    """Days, the last one first, as spans without a day between them; what is beyond the first few spans is one."""
    spans: list[tuple[date, date]] = []
    for day in days:
        first, last = spans[-1] if spans else (day, day)
        if spans and (first - day == _A_DAY or len(spans) == SPANS):
            spans[-1] = day, last
        else:
            spans.append((day, day))
    return [(midnight(first), midnight(last + _A_DAY)) for first, last in spans]


def tail_from(connection: psycopg.Connection[Record], org_id: UUID, since: datetime) -> Tail:
    """A tail that starts behind what is there now. Rows created before `since` will not be looked at again."""
    heads = connection.execute(_SQL["heads"], {"org_id": org_id, "since": since}).fetchall()
    return Tail(since, {head["writer_no"]: head["wseq"] for head in heads})


def follow(connection: psycopg.Connection[Record], org_id: UUID, tail: Tail, wanted: Filter) -> list[Record]:
    """The rows that came since the last look, oldest first. Moves the tail."""
    seen = {"since": tail.since, "writers": list(tail.seen), "seen": list(tail.seen.values())}
    rows = connection.execute(_query("after", wanted.condition(org_id)), seen).fetchall()
    for row in rows:
        tail.seen[row["writer_no"]] = max(row["wseq"], tail.seen.get(row["writer_no"], 0))
    return rows


def one(connection: psycopg.Connection[Record], org_id: UUID, row_id: UUID) -> list[Record]:
    """The row with this id, or every row of the call with this request id, of the month after the id was made."""
    made = made_at(row_id)
    if made is None:
        return []
    bounds = {"since": made - CLOCKS_APART, "until": made + CALL_ROWS_COME_WITHIN}
    return connection.execute(_SQL["one"], {"org_id": org_id, "id": row_id, **bounds}).fetchall()


def corrections(
    connection: psycopg.Connection[Record], org_id: UUID, row_ids: list[UUID]
) -> dict[UUID, list[Record]]:
    """What was appended to correct each of these rows, in order."""
    found: dict[UUID, list[Record]] = {}
    for row in connection.execute(_SQL["corrections"], {"org_id": org_id, "ids": row_ids}):
        found.setdefault(row["corrects"], []).append(row)
    return found


def totals(connection: psycopg.Connection[Record], org_id: UUID, wanted: Filter) -> Record:
    """Calls and nano-USD of what is wanted, and how much of it is final, unpriced, unattributed, simulated."""
    found = connection.execute(_query("totals", wanted.condition(org_id))).fetchone()
    assert found is not None
    return found


def shown(row: Record) -> Record:
    """A row as a person reads it: the catalogue's names, money as decimal dollars."""
    row = dict(row)
    row["cost_usd"] = usd(row.pop("cost_nusd"))
    row["billed_usd"] = usd(row.pop("billed_nusd"))
    row["task"] = row.pop("task_id")
    row["team"] = row.pop("team_id")
    for name in ("leaf_hash", "request_sha256"):
        row[name] = row[name].hex() if row[name] else None
    return row


def _query(name: str, condition: sql.Composed) -> sql.Composed:
    return sql.SQL(_SQL[name]).format(filter=condition)
