"""Whether writers' numbers are all there, each once. Gaps are made by deletion only, and doubles by other means than a writer's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from visionality.core.finding import Kind
from visionality.evidence.rows import RowLog
from visionality.runtime.sql import statements

_SQL = statements("visionality.evidence.sql", "verification.sql")


class Broken(NamedTuple):
    """The first number of a writer, or of an organisation, that is not there once."""

    kind: Kind
    org_id: UUID | None
    """None where nothing is left that says whose it was."""
    writer_no: int | None
    number: int
    row_id: UUID | None
    words: str


def of_writers(
    connection: psycopg.Connection[Any], log: RowLog, cursors: Mapping[int, int]
) -> Iterator[Broken]:
    """Of every writer. `cursors` say up to which number each known writer was sealed, and were read before."""
    counted = {one[0]: one[1:] for one in _rows(connection, "writers", log, {})}
    for writer_no in sorted(set(counted) - set(cursors)):
        for org_id, row_id, number in _rows(connection, "stranger", log, {"of": writer_no}):
            words = f"row {row_id} is of a writer that never was: it was put there by other means"
            yield Broken("stranger", org_id, writer_no, number, row_id, words)
    for writer_no, sealed in sorted(cursors.items()):
        count, least, greatest, different = counted.get(writer_no, (0, 1, 0, 0))
        if count != different:
            yield _doubled(connection, log, writer_no, None)
        if different != max(greatest, sealed) or (count and least != 1):
            number = first_missing(connection, log, writer_no, 0, max(greatest, sealed))
            if number is not None:
                behind = _rows(connection, "behind", log, {"of": writer_no, "number": number})
                org_id = behind[0][0] if behind else None
                yield Broken("gap", org_id, writer_no, number, None, _GONE)


def of_orgs(
    connection: psycopg.Connection[Any], log: RowLog, orgs: Sequence[UUID], given: Mapping[UUID, int]
) -> Iterator[Broken]:
    """Of organisations. `given` are the last numbers that they gave, and were read before."""
    counted = {one[0]: one[1:] for one in _rows(connection, "orgs", log, {"orgs": list(orgs)})}
    for org_id in orgs:
        count, least, greatest, different = counted.get(org_id, (0, 1, 0, 0))
        upto = max(greatest, given.get(org_id, 0))
        if count != different:
            yield _doubled(connection, log, None, org_id)
        if different != upto or (count and least != 1):
            number = first_missing(connection, log, org_id, 0, upto)
            if number is not None:
                yield Broken("gap", org_id, None, number, None, _GONE)


def first_missing(
    connection: psycopg.Connection[Any], log: RowLog, of: int | UUID, after: int, upto: int
) -> int | None:
    """The first number of a writer, or of an organisation, behind one up to another, that no row has."""
    statement = "missing_seq" if isinstance(of, UUID) else "missing"
    found = _rows(connection, statement, log, {"of": of, "after": after, "upto": upto})
    return int(found[0][0]) if found else None


_GONE = "the row is missing: it was deleted, for numbers are given without a gap in the transaction that writes the row"


def _doubled(
    connection: psycopg.Connection[Any], log: RowLog, writer_no: int | None, org_id: UUID | None
) -> Broken:
    of = {"of": org_id if writer_no is None else writer_no}
    end = "_seq" if writer_no is None else ""
    number = _rows(connection, f"doubled{end}", log, of)[0][0]
    rows = _rows(connection, f"at{end}", log, {**of, "number": number})
    words = f"rows {' and '.join(str(row_id) for _, row_id in rows)} have it: it was given once, so one was put there by other means"
    return Broken("doubled", rows[0][0], writer_no, number, rows[-1][1], words)


def _rows(
    connection: psycopg.Connection[Any], statement: str, log: RowLog, given: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    query = sql.SQL(_SQL[statement]).format(log=sql.Identifier("vis", log))
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, given).fetchall()
