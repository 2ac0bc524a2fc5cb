"""The demo put into an installation: decisions, then rows, then what was read of Jira and Bitbucket, then budgets.

Decisions are one transaction, each batch of rows is one, and so are budgets. A load that was cut off is taken up again: the first
act says which month, until when and how many rows it was to be, the rows are the same each time, and a batch that is there is not
written again. Rows go through ledger writers of their own, which number them without a gap. Django must be set up first.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, islice
from uuid import UUID

import asyncpg
import msgspec
import psycopg

from visionality.core.row import Row
from visionality.demo import decided, hosts, story
from visionality.demo.calendar import Month, month_of
from visionality.demo.calls import Scene, days_of
from visionality.jobs.sync_store import Run, store
from visionality.ledger.rollup import roll
from visionality.ledger.writer import LedgerWriter
from visionality.postgres.access import Access
from visionality.pricebook.book import PriceBook
from visionality.runtime.clock import Clock
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider
from visionality.web.start import organisation_context

BATCH = 2_000
"""Rows in one transaction."""
_SQL = statements("visionality.demo", "load.sql")

Progress = Callable[[int], None]


class DemoThere(Exception):
    """The demo cannot be loaded here, because it is there or something is in its place."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a load is to be, as its first act says."""

    org_id: UUID
    month: Month
    rows: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The installation."""

    access: Access
    settings: Settings
    keys: KeyProvider
    clock: Clock


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Raises DemoThere while somebody else loads the demo."""
    with psycopg.connect(place.access.dsn("vis_web"), autocommit=True) as connection:
        if connection.execute(_SQL["alone"]).fetchone() != (True,):
            raise DemoThere("the demo is being loaded by somebody else: wait until that is done")
        yield


def begin(place: Place, month_name: str | None, rows: int) -> Begun:
    """Make the organisation and its decisions, or find those of a load that was cut off. Raises DemoThere and NotTold."""
    found = _found(place)
    if found is not None:
        return found
    month = month_of(month_name, place.clock())
    _open_months(place, month)
    org_id = uuid7()
    with organisation_context(org_id):
        decided.begin(org_id, month, rows, place.keys)
    return Begun(org_id, month, rows, is_new=True)


def finish(place: Place, begun: Begun, progress: Progress) -> None:
    """Write the rows, telling how many more stand each time, and all that follows from them, the daily sums too."""
    with organisation_context(begun.org_id):
        named = decided.told(begun.org_id)
        connectors = decided.connectors(begun.org_id)
    whose = (named.keys, named.leaked_key, named.hint)
    scene = Scene(begun.org_id, begun.month, begun.rows, *whose, PriceBook())
    asyncio.run(_write(place, scene, progress))
    _read(place, begun, connectors)
    _add_up(place)
    with organisation_context(begun.org_id):
        decided.end(begun.org_id, begun.month, begun.rows)


def _found(place: Place) -> Begun | None:
    with psycopg.connect(place.access.dsn("vis_web")) as connection:
        org = connection.execute(_SQL["organisation"], {"slug": story.SLUG}).fetchone()
        if org is None:
            return None
        connection.execute("select set_config('vis.org_id', %s, true)", [str(org[0])])
        kinds = {"begun": decided.BEGUN, "loaded": decided.LOADED}
        said: dict[str, object] = dict(
            connection.execute(_SQL["said"], {"org_id": org[0], **kinds}).fetchall()
        )
    if decided.LOADED in said:
        raise DemoThere(
            f"the demo is there already, in the organisation {story.SLUG}: a ledger is never written over, and nothing "
            "of it can be taken out again"
        )
    if decided.BEGUN not in said:
        raise DemoThere(f"there is an organisation {story.SLUG} that is not the demo's: it is left as it is")
    what = msgspec.convert(said[decided.BEGUN], dict[str, str])
    first, until = date.fromisoformat(f"{what['month']}-01"), datetime.fromisoformat(what["until"])
    return Begun(org[0], Month(first, until), int(what["rows"]), is_new=False)


def _open_months(place: Place, month: Month) -> None:
    """Make the partitions of the month and of the day on which everything was set up, where there are none."""
    first = month.set_up_at.date().replace(day=1)
    months = 1 + (month.first != first)
    with psycopg.connect(place.access.dsn("vis_migrator")) as connection:
        connection.execute("set local role vis_owner")
        connection.execute(
            statements("visionality.ledger.sql", "partitions.sql")["ahead"],
            {"first": first, "months": months},
        )


async def _write(place: Place, scene: Scene, progress: Progress) -> None:
    """Two writers in turns: while the database takes the rows of one, those of the other are made."""
    dsn = place.access.dsn("vis_writer")
    writers = [LedgerWriter(dsn, f"demo-{number}", place.clock, place.settings) for number in (1, 2)]
    try:
        for writer in writers:
            await writer.start()
        await _in_turns(writers, scene, progress)
    finally:
        for writer in writers:
            await writer.close()


async def _in_turns(writers: list[LedgerWriter], scene: Scene, progress: Progress) -> None:
    rows = chain.from_iterable(days_of(scene))
    under_way: list[tuple[asyncio.Task[int], int]] = []
    turn = 0
    while batch := list(islice(rows, BATCH)):
        task = asyncio.create_task(writers[turn % len(writers)].append(_Batch(batch).missing))
        under_way.append((task, len(batch)))
        turn += 1
        await asyncio.sleep(0)
        if len(under_way) == len(writers):
            await _done(under_way.pop(0), progress)
    for one in under_way:
        await _done(one, progress)


async def _done(one: tuple[asyncio.Task[int], int], progress: Progress) -> None:
    task, rows = one
    await task
    progress(rows)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows that stand all together or not at all."""

    rows: list[Row]

    async def missing(self, connection: asyncpg.Connection) -> list[Row]:
        """None of them when they were written by a load that was cut off."""
        first = self.rows[0]
        await connection.execute(_SQL["after"], str(first.id))
        stands = await connection.fetchval(_SQL["stands"], first.org_id, first.created_at, first.id)
        return [] if stands else self.rows


def _read(place: Place, begun: Begun, connectors: dict[str, UUID]) -> None:
    pages = {hosts.JIRA: hosts.tracker_page(begun.month), hosts.BITBUCKET: hosts.host_page(begun.month)}
    with psycopg.connect(place.access.dsn("vis_jobs")) as connection:
        for name, page in pages.items():
            run = Run(begun.org_id, connectors[name], 1, is_full=True)
            store(connection, run, page, begun.month.until)


def _add_up(place: Place) -> None:
    """Keep the daily sums, so that pages are quick at once. Where jobs run, they do so and this leaves it to them."""
    with psycopg.connect(place.access.dsn("vis_sealer"), autocommit=True) as connection:
        while roll(connection).rows:
            pass
    with psycopg.connect(place.access.dsn("vis_migrator"), autocommit=True) as connection:
        connection.execute("set role vis_owner")
        connection.execute(_SQL["weighed"])
