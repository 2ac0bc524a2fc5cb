"""Corrections are carried out here: orders that people gave become rows (promise A6; core/correction.py has the arithmetic).

A slice of an order is one transaction that reads the rows as they stand, skips those that this order has moved already, and
appends the rest; an advisory lock of that transaction lets one process at a time do so. So a process may die between any two
steps, and two may work at once: no row is moved twice by one order. A last transaction says that the order is done.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID

import asyncpg
import msgspec
import structlog

from visionality.core.allocation import Dated, Markup
from visionality.core.correction import (
    AMOUNTS,
    NOT_COPIED,
    NOTHING,
    Order,
    Standing,
    corrected,
    is_overtaken,
)
from visionality.core.money import rounded_nusd
from visionality.core.pricing import exact_nusd
from visionality.core.row import COLUMNS, Row
from visionality.ledger.connection import AWAY
from visionality.ledger.writer import LedgerWriter
from visionality.registry.snapshot import MarkupRecord
from visionality.runtime.clock import Clock
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

log = structlog.get_logger()

EVERY = 1.0
LOOK_BACK = timedelta(days=1)
"""How long before now an order may have got its id, where at the last look none waited."""
SLICE = 200
"""Rows in one transaction."""

_SQL = statements("visionality.jobs", "corrections.sql")
_rows_of = msgspec.json.Decoder(list[tuple[UUID, datetime]]).decode
_counts_of = msgspec.json.Decoder(dict[str, int]).decode
_texts_of = msgspec.json.Decoder(dict[str, str]).decode
_tags_of = msgspec.json.Decoder(dict[str, str] | None).decode


class Busy(Exception):
    """Another process carries orders out."""


class Corrector:
    """One loop. It reads orders on a connection of its own, and appends through the writer of its process."""

    def __init__(self, dsn: str, writer: LedgerWriter, clock: Clock) -> None:
        self._dsn = dsn
        self._writer = writer
        self._clock = clock
        self._connection: asyncpg.Connection | None = None
        self._since = UUID(int=0)
        self.corrected = 0

    async def run(self) -> None:
        """Carry orders out for ever, looking once a second."""
        while True:
            try:
                await self.correct()
            except AWAY as error:
                log.warning("corrections_wait", error=str(error), error_type=type(error).__name__)
                self.close()
            except Busy:
                pass
            except Exception:
                log.exception("corrections_failed")
            await asyncio.sleep(EVERY)

    async def correct(self) -> int:
        """Carry out every order there is now. Returns how many rows were appended. Raises Busy, and one of AWAY."""
        connection = await self._connected()
        appended = 0
        found_open = await connection.fetch(_SQL["open"], self._since)
        if not found_open:
            self._since = _first_id(self._clock() - LOOK_BACK)
        for waiting in found_open:
            (found,) = await connection.fetch(_SQL["order"], *waiting)
            order = Order(*(found[field.name] for field in fields(Order)))
            appended += await self._carry_out(order, list(dict.fromkeys(_rows_of(found["rows"]))))
        self.corrected += appended
        return appended

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._dsn, timeout=10, command_timeout=30)
        return self._connection

    async def _carry_out(self, order: Order, rows: Sequence[tuple[UUID, datetime]]) -> int:
        slices = [rows[start : start + SLICE] for start in range(0, len(rows), SLICE)]
        appended = sum([await self._writer.append(_Slice(order, one, self._clock).made) for one in slices])
        await self._writer.append(_Slice(order, rows, self._clock).finished)
        return appended


@dataclass(frozen=True, slots=True)
class _Slice:
    """Some rows of an order, in a transaction of the ledger's writer."""

    order: Order
    rows: Sequence[tuple[UUID, datetime]]
    clock: Clock

    async def made(self, connection: asyncpg.Connection) -> list[Row]:
        """The rows that move these; none for what was moved before. Raises Busy."""
        await self._lead(connection)
        made: list[Row] = []
        for standing in await self._standing(connection):
            if not is_overtaken(standing, self.order):
                made += corrected(standing, self.order, self.clock())
        for row in made:
            row.id = uuid7()
        return made

    async def finished(self, connection: asyncpg.Connection) -> list[Row]:
        """Say that the order is done; it takes no row. Raises Busy."""
        await self._lead(connection)
        order, ids = self.order, [row_id for row_id, _ in self.rows]
        whose = (order.org_id, order.correction_id)
        await connection.execute(_SQL["done"], *whose, self.clock(), len(ids), ids, str(order.correction_id))
        return []

    async def _lead(self, connection: asyncpg.Connection) -> None:
        if not await connection.fetchval(_SQL["lead"]):
            raise Busy

    async def _standing(self, connection: asyncpg.Connection) -> list[Standing]:
        order, ids = self.order, [row_id for row_id, _ in self.rows]
        at = [created_at for _, created_at in self.rows]
        rows = await connection.fetch(_SQL["rows"], order.org_id, ids, at, str(order.correction_id))
        ids = [row["id"] for row in rows]
        true_ups, moved = [
            {
                (found["corrects"], found["currency"]): tuple(found[name] for name in AMOUNTS)
                for found in await connection.fetch(_SQL["followed"], order.org_id, ids, entry)
            }
            for entry in ("true_up", "correction")
        ]
        booked = {
            found["corrects"]: _row(found)
            for found in await connection.fetch(_SQL["booked"], order.org_id, ids)
        }
        markups = await connection.fetch(_SQL["markups"], order.org_id)
        dated: Dated[Markup] = Dated(MarkupRecord(*record) for record in markups)
        return [
            Standing(
                _row(found),
                true_ups.get((found["id"], found["currency"]), NOTHING),
                booked.get(found["id"]),
                found["project_gl_code"],
                found["project_business_unit"],
                moved.get((found["id"], found["currency"]), NOTHING),
                _exact(found),
                dated,
            )
            for found in rows
        ]


def _first_id(moment: datetime) -> UUID:
    """Ids that are made from a moment on are not less (UUIDv7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _exact(record: asyncpg.Record) -> Decimal | None:
    """A row's cost before it was rounded; None where it is no sum of what the row holds."""
    try:
        usage, rates = _counts_of(record["usage"] or "{}"), _texts_of(record["rates"] or "{}")
        exact = exact_nusd(usage, rates)
    except (msgspec.ValidationError, KeyError, InvalidOperation):
        return None
    return exact if rounded_nusd(exact) == record["cost_nusd"] else None


def _row(record: asyncpg.Record) -> Row:
    """A row as it stands, but for what no correction has."""
    columns = {name: record[name] for name in COLUMNS if name not in NOT_COPIED}
    return Row(**columns | {"tags": _tags_of(record["tags"] or "null")})
