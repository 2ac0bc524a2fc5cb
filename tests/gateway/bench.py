"""Gateway processes without a door, on one database, before a provider that says what a test has it say."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from conftest import Database
from gateway.scripted import Scripted, scripted
from visionality.gateway.batches.collector import Collector
from visionality.gateway.state import Gateway
from visionality.gateway.upstream import Upstream
from visionality.ledger.writer import LedgerWriter
from visionality.registry.snapshot import SnapshotKeeper
from visionality.runtime.clock import utc_now
from visionality.runtime.settings import Settings
from visionality.vault.keyproviders.env import EnvKeyProvider

KEYS = EnvKeyProvider(bytes(range(32)))


class Shelf(Scripted):
    """Answers by path: with a body, with one after the other, or with bytes as they are; 404 for what is not there."""

    def __init__(self, provider: Scripted) -> None:
        super().__init__(provider.listener, let_go=provider.let_go)
        self.pages: dict[str, list[bytes]] = {}
        self.asked: list[str] = []

    def put(self, path: str, *bodies: bytes, status: int = 200, missing: int = 0) -> None:
        """The last one repeats. With `missing`, so many bytes of each never come."""
        self.pages[path] = [
            b"HTTP/1.1 %d .\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(body) + missing, body)
            for body in bodies
        ]

    def _answer(self, connection: Any) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (chunk := connection.recv(1 << 16)):
                    return
                head += chunk
            path = head.split(b" ", 2)[1].decode()
            self.asked.append(path)
            pages = self.pages.get(path, [b"HTTP/1.1 404 .\r\ncontent-length: 0\r\n\r\n"])
            connection.sendall(pages.pop(0) if len(pages) > 1 else pages[0])
            if self.stays_open:
                self.let_go.wait()


@dataclass
class Bench:
    """Gateway processes without a door, on one database and one provider."""

    database: Database
    org: UUID
    shelf: Shelf
    settings: Settings

    @asynccontextmanager
    async def process(self) -> AsyncIterator[tuple[Gateway, Collector]]:
        """A gateway with its collector, which looks when it is told to; at the end it is gone, as by a kill."""
        dsn = self.database.url("vis_writer")
        gateway = Gateway(self.settings, utc_now, KEYS)
        gateway.loop = asyncio.get_running_loop()
        gateway.writer = LedgerWriter(dsn, "gateway", utc_now, self.settings)
        gateway.snapshots = SnapshotKeeper(dsn, 60, gateway.organisation_changed)
        gateway.upstream = Upstream(5, 5)
        collector = Collector(gateway, dsn)
        try:
            await gateway.writer.start()
            await gateway.snapshots.start()
            yield gateway, collector
        finally:
            await collector.close()
            gateway.upstream.close()
            await gateway.snapshots.close()
            await gateway.writer.close()

    def query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.database.dsn("vis_super"), row_factory=dict_row) as connection:
            return connection.execute(sql, values or None).fetchall()


@contextmanager
def bench_on(database: Database, org: UUID, data_dir: Path, **given: Any) -> Iterator[Bench]:
    """Its provider stands where the sandbox would. `given` are settings."""
    with scripted() as provider:
        shelf = Shelf(provider)
        provider._answer = shelf._answer
        settings = {"data_dir": data_dir, "sandbox_url": shelf.address, "batch_poll": 0.001} | given
        yield Bench(database, org, shelf, Settings(**settings))
