"""The ASGI entry: route table to pipeline, and nothing more. No framework stands on the gateway's path."""

import asyncio
import gc
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog

from visionality.core.call import Refusal
from visionality.gateway import device, minting, strangers
from visionality.gateway.allowed import peer_of
from visionality.gateway.authenticate import presented, principal_of, without_keys
from visionality.gateway.batches.collector import Collector
from visionality.gateway.client import Client, Receive, Send, answer
from visionality.gateway.connection import PRESENCE
from visionality.gateway.deriving import Way, derive
from visionality.gateway.passthrough import is_open, passed
from visionality.gateway.pipeline import Call
from visionality.gateway.refusals import refuse
from visionality.gateway.routes import Target, find, spoken, without_scope
from visionality.gateway.state import Gateway
from visionality.gateway.upstream import Upstream
from visionality.gateway.usage_card import answer as usage_card
from visionality.ledger.connection import AWAY
from visionality.ledger.desk import Desk
from visionality.ledger.minting import MintingDesk
from visionality.ledger.replay import ReplayStore
from visionality.ledger.writer import LedgerWriter
from visionality.pricebook.book import snapshot
from visionality.registry.snapshot import SnapshotKeeper, SnapshotStale
from visionality.runtime.clock import Clock
from visionality.runtime.ids import uuid7
from visionality.runtime.lifespan import lifespan
from visionality.runtime.settings import Settings
from visionality.vault.keyproviders._core import KeyProvider

log = structlog.get_logger()

GARBAGE_ALLOWED = 20_000
"""Container objects that may be made before the collector looks at the young ones."""

_DERIVING = {way.path: way for way in (minting.WAY, device.WAY)}
_PLAIN = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]


class GatewayApp:
    """One gateway process. `writer_dsn` reaches the ledger as `vis_writer`, directly."""

    def __init__(self, settings: Settings, clock: Clock, keys: KeyProvider, writer_dsn: str) -> None:
        self._gateway = Gateway(settings, clock, keys)
        self._collector = Collector(self._gateway, writer_dsn)
        self._dsn = writer_dsn
        self._desk = Desk(writer_dsn, "visionality strangers")
        self._cards = usage_card.UsageCards(self._gateway, writer_dsn)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await lifespan(receive, send, self._start, self._stop)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        method, headers = scope["method"], tuple(scope["headers"])
        path, purpose = without_scope(scope["raw_path"].decode("latin-1"))
        target = find(method, path, headers)
        if target is not None:
            await self._call(target, scope, receive, send, purpose)
        elif any(name == b"upgrade" and value.lower() == b"websocket" for name, value in headers):
            refusal = Refusal(
                426, "upgrade_not_supported", "WebSockets are not served here: send the request over HTTP"
            )
            await refuse(send, spoken(path, headers), refusal, str(uuid7()))
        elif method in {"GET", "HEAD"} and path in {"/", "/livez", "/readyz"}:
            await self._health(path, send)
        elif path == usage_card.PATH:
            await self._cards.answer(scope, send)
        elif method == "POST" and (way := _DERIVING.get(path)):
            await self._derive(way, scope, receive, send)
        elif (target := passed(method, path)) and await self._may_pass(target, scope):
            await self._call(target, scope, receive, send, purpose)
        else:
            refusal = Refusal(
                404, "route_not_metered", f"{method} on this path is not metered here, so it is not served"
            )
            await refuse(send, spoken(path, headers), refusal, str(uuid7()))

    async def _call(
        self, target: Target, scope: dict[str, Any], receive: Receive, send: Send, purpose: str | None
    ) -> None:
        deadlines = self._gateway.deadlines
        client = Client(receive, send, scope["state"][PRESENCE], deadlines.begin())
        query = scope["query_string"].decode("latin-1")
        try:
            path, headers = scope["raw_path"].decode("latin-1"), tuple(scope["headers"])
            peer = peer_of(scope)
            await Call(
                self._gateway, target, scope["method"], query, headers, client, path, query, peer, purpose
            ).run()
        finally:
            deadlines.end(client.deadline)

    async def _derive(self, way: Way, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        deadlines = self._gateway.deadlines
        client = Client(receive, send, scope["state"][PRESENCE], deadlines.begin())
        try:
            await derive(way, self._gateway, client, scope)
        finally:
            deadlines.end(client.deadline)

    async def _may_pass(self, target: Target, scope: dict[str, Any]) -> bool:
        """Whether the key's project may use a path without a meter; for everybody else it is not there.

        The call decides again, and refuses by itself when the control data cannot be read.
        """
        query = scope["query_string"].decode("latin-1")
        _, in_query = without_keys(query, target.provider.key_parameters)
        try:
            snapshot = await self._gateway.snapshots.current()
            principal = principal_of(self._gateway, snapshot, presented(tuple(scope["headers"]), in_query))
        except SnapshotStale:
            return True
        except Refusal:
            return False
        return is_open(principal.grant, target.provider)

    async def _health(self, path: str, send: Send) -> None:
        if path == "/readyz" and not self._gateway.is_ready:
            await answer(send, 503, _PLAIN, b"the ledger's database is away\n")
        else:
            await answer(send, 200, _PLAIN, b"ok\n")

    async def _start(self) -> None:
        gateway, settings = self._gateway, self._gateway.settings
        gateway.loop = asyncio.get_running_loop()
        gateway.writer = LedgerWriter(self._dsn, "gateway", gateway.clock, settings)
        gateway.snapshots = SnapshotKeeper(self._dsn, settings.snapshot_max_age, gateway.organisation_changed)
        await gateway.writer.start()
        await gateway.snapshots.start()
        gateway.tokens.aud = f"vis:{gateway.snapshots.installation_id}"
        gateway.replays = ReplayStore(self._dsn, timedelta(seconds=settings.binding_skew))
        gateway.minting = MintingDesk(self._dsn)
        self._counting = gateway.loop.create_task(self._count_strangers(), name="strangers")
        gateway.upstream = Upstream(settings.connect_timeout, settings.idle_timeout)
        gateway.deadlines.start()
        self._collector.start()
        prices = gateway.loop.run_in_executor(None, snapshot)
        prices.add_done_callback(lambda _: _spare_the_collector())

    async def _count_strangers(self) -> None:
        """Write down who came and is nobody, for ever."""
        gateway = self._gateway
        while True:
            await asyncio.sleep(strangers.EVERY)
            try:
                await gateway.strangers.write_down(self._desk, gateway.writer.writer_no)
            except AWAY as error:
                log.warning("strangers_wait", error=str(error), error_type=type(error).__name__)

    async def _stop(self) -> None:
        self._counting.cancel()
        with suppress(*AWAY):
            await self._gateway.strangers.write_down(self._desk, self._gateway.writer.writer_no)
        self._desk.close()
        self._gateway.minting.close()
        self._gateway.replays.close()
        await self._collector.close()
        self._gateway.organisation_keys.close()
        self._gateway.deadlines.stop()
        self._cards.close()
        self._gateway.upstream.close()
        await self._gateway.snapshots.close()
        self._gateway.repeats.forget_all()
        left_behind = await self._gateway.writer.close()
        if left_behind:
            log.error("rows_left_behind", count=left_behind)


def _spare_the_collector() -> None:
    """Keep the collector off what was loaded at the start and lives for ever.

    The price book alone is some 100,000 objects; left to itself it walks them again and again, in the middle of calls.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_ALLOWED, 20, 20)
