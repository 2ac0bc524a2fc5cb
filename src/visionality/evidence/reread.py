"""Rows read anew: each with the leaf that its columns give now, whoever stored what beside them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from visionality.evidence.rows import COLUMNS, RowLog, rebuilt_leaf, selected
from visionality.runtime.sql import statements

_SQL = statements("visionality.evidence.sql", "verification.sql")
_PAGE = 2_000
"""Rows that are in memory as columns at a time."""


class Reread(NamedTuple):
    """A row as it is now. `leaf` is None where its columns hold what no row's bytes can."""

    org_id: UUID
    row_id: bytes
    writer_no: int | None
    """None in the logs that an organisation numbers itself."""
    number: int
    leaf: bytes | None
    stored: bytes
    """The leaf that its writer stored beside the columns."""
    created_at: datetime
    project_id: str | None = None
    currency: str = ""
    cost_nusd: int = 0
    billed_nusd: int = 0


def of_writers(
    connection: psycopg.Connection[Any],
    log: RowLog,
    orgs: Sequence[UUID],
    ranges: Mapping[int, tuple[int, int]],
) -> Iterator[Reread]:
    """Rows whose writers gave them numbers behind the first up to the second; in no order."""
    if not ranges:
        return
    after, upto = zip(*ranges.values(), strict=True)
    given = {"orgs": list(orgs), "writers": list(ranges), "after": list(after), "upto": list(upto)}
    yield from _asked(connection, "of_writers", log, given)


def of_orgs(
    connection: psycopg.Connection[Any], log: RowLog, ranges: Mapping[UUID, tuple[int, int]]
) -> Iterator[Reread]:
    """Events that their organisations gave numbers behind the first up to the second; in no order."""
    if not ranges:
        return
    after, upto = zip(*ranges.values(), strict=True)
    yield from _asked(
        connection, "of_orgs", log, {"orgs": list(ranges), "after": list(after), "upto": list(upto)}
    )


def of_ids(
    connection: psycopg.Connection[Any], log: RowLog, org_id: UUID, ids: Sequence[UUID]
) -> Iterator[Reread]:
    """Rows by their ids, wherever they are: every partition is asked."""
    yield from _asked(connection, "of_ids", log, {"org_id": org_id, "ids": list(ids)})


def _asked(
    connection: psycopg.Connection[Any], statement: str, log: RowLog, given: Mapping[str, Any]
) -> Iterator[Reread]:
    query = sql.SQL(_SQL[statement]).format(columns=selected(log, "r"), log=sql.Identifier("vis", log))
    names = (*COLUMNS[log], "leaf_hash")
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        cursor.execute(query, given)
        while page := cursor.fetchmany(_PAGE):
            for row in page:
                yield _reread(log, dict(zip(names, row, strict=True)))


def _reread(log: RowLog, record: dict[str, Any]) -> Reread:
    leaf, stored = rebuilt_leaf(log, record), bytes(record["leaf_hash"])
    org_id, row_id, created_at = record["org_id"], record["id"].bytes, record["created_at"]
    if log == "request_logs":
        return Reread(
            *(org_id, row_id, record["writer_no"], record["wseq"], leaf, stored, created_at),
            *(record["project_id"], record["currency"], record["cost_nusd"], record["billed_nusd"]),
        )
    if log == "budget_events":
        return Reread(org_id, row_id, record["writer_no"], record["wseq"], leaf, stored, created_at)
    return Reread(org_id, row_id, None, record["seq"], leaf, stored, created_at)
