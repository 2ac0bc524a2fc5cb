"""The ASGI entry: route table to pipeline, and nothing more. No framework stands on the gateway's path."""

import asyncio
import gc
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from visionality.core.call import Headers, Refusal
from visionality.gateway import device, metrics, minting, strangers
from visionality.gateway.allowed import peer_of
from visionality.gateway.authenticate import presented, principal_of, without_keys
from visionality.gateway.batches.collector import Collector
from visionality.gateway.client import Client, Receive, Send, answer
from visionality.gateway.connection import PRESENCE
from visionality.gateway.counted_together import CountedTogether
from visionality.gateway.deriving import Way, derive
from visionality.gateway.limits import RateLimits
from visionality.gateway.passthrough import is_open, passed
from visionality.gateway.pipeline import Call
from visionality.gateway.receipts import fetch as receipts
from visionality.gateway.receipts.desk import Receipts
from visionality.gateway.refusals import refuse
from visionality.gateway.routes import Target, find, spoken, without_scope
from visionality.gateway.siblings import Siblings
from visionality.gateway.state import Gateway
from visionality.gateway.upstream import Upstream
from visionality.gateway.usage_card import answer as usage_card
from visionality.ledger.connection import AWAY
from visionality.ledger.desk import Desk
from visionality.ledger.ids import uuid7
from visionality.ledger.minting import MintingDesk
from visionality.ledger.replay import ReplayStore
from visionality.ledger.writer import LedgerWriter
from visionality.pricebook.book import snapshot
from visionality.registry.snapshot import SnapshotKeeper, SnapshotStale
from visionality.runtime.clock import Clock
from visionality.runtime.lifespan import lifespan
from visionality.runtime.settings import Settings
from visionality.vault.keyproviders._core import KeyProvider

log = structlog.get_logger()

GARBAGE_ALLOWED = 20_000
"""Container objects that may be made before the collector looks at the young ones."""

_DERIVING = {way.path: way for way in (minting.WAY, device.WAY)}
_WHO_MAY_MEASURE = b"metrics are told on this machine, or for the token that VIS_METRICS_TOKEN sets\n"
_PLAIN = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]


class GatewayApp:
    """One gateway process. `writer_dsn` reaches the ledger as `vis_writer`; `session_dsn` does so without a pooler between.

    Where there are several behind one port, `workers_meet` is a directory of theirs alone.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        keys: KeyProvider,
        writer_dsn: str,
        session_dsn: str,
        workers_meet: Path | None = None,
        exporter: Any | None = None,
    ) -> None:
        self._gateway = Gateway(settings, clock, keys)
        if workers_meet:
            counted = CountedTogether(workers_meet)
            self._gateway.limits = RateLimits(counted, settings.gateway_workers)
        self._metrics = metrics.Metrics()
        self._spans = exporter(self._metrics, self._gateway) if exporter else None
        self._siblings = workers_meet and Siblings(workers_meet, lambda: self._metrics.text(self._gateway))
        self._collector = Collector(self._gateway, session_dsn)
        self._dsn, self._session_dsn = writer_dsn, session_dsn
        self._desk = Desk(writer_dsn, "visionality strangers")
        self._cards = usage_card.UsageCards(self._gateway, writer_dsn)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send, self._start, self._stop)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        method, headers = scope["method"], tuple(scope["headers"])
        raw_path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        path, purpose = without_scope(raw_path)
        target = find(method, path, headers) or await self._otherwise(path, headers, scope, receive, send)
        if target is None:
            return
        gateway, peer = self._gateway, peer_of(scope)
        client = Client(receive, send, scope["state"][PRESENCE], gateway.deadlines.begin())
        try:
            call = Call(gateway, target, method, query, headers, client, raw_path, query, peer, purpose)
            if self._spans is not None:
                self._spans.heard(call.id, headers)
            await call.run()
        finally:
            gateway.deadlines.end(client.deadline)

    async def _otherwise(
        self, path: str, headers: Headers, scope: dict[str, Any], receive: Receive, send: Send
    ) -> Target | None:
        """Answer what is on no route, but for a path without a meter that the caller may use: then its target."""
        method = scope["method"]
        if any(name == b"upgrade" and value.lower() == b"websocket" for name, value in headers):
            refusal = Refusal(
                426, "upgrade_not_supported", "WebSockets are not served here: send the request over HTTP"
            )
            await refuse(send, spoken(path, headers), refusal, str(uuid7()))
        elif method in {"GET", "HEAD"} and path in {"/", "/livez", "/readyz"}:
            await self._health(path, send)
        elif method == "GET" and path == metrics.PATH:
            await self._measured(scope, send)
        elif path == usage_card.PATH:
            await self._cards.answer(scope, send)
        elif method in {"GET", "HEAD"} and path.startswith(receipts.PATH):
            await receipts.fetch(self._gateway, path, scope, send)
        elif method == "POST" and (way := _DERIVING.get(path)):
            await self._derive(way, scope, receive, send)
        elif (target := passed(method, path)) and await self._may_pass(target, scope):
            return target
        else:
            refusal = Refusal(
                404, "route_not_metered", f"{method} on this path is not metered here, so it is not served"
            )
            await refuse(send, spoken(path, headers), refusal, str(uuid7()))
        return None

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
        if path == "/readyz" and (trouble := self._gateway.trouble):
            await answer(send, 503, _PLAIN, f"{trouble}\n".encode())
        else:
            await answer(send, 200, _PLAIN, b"ok\n")

    async def _measured(self, scope: dict[str, Any], send: Send) -> None:
        if metrics.may_read(self._gateway.settings.metrics_token, peer_of(scope), scope["headers"]):
            told = [(b"content-type", metrics.CONTENT_TYPE), (b"cache-control", b"no-store")]
            text = await self._siblings.text() if self._siblings else self._metrics.text(self._gateway)
            await answer(send, 200, told, text)
        else:
            await answer(send, 401, [*_PLAIN, (b"www-authenticate", b"Bearer")], _WHO_MAY_MEASURE)

    async def _start(self) -> None:
        gateway, settings = self._gateway, self._gateway.settings
        gateway.loop = asyncio.get_running_loop()
        gateway.writer = LedgerWriter(
            self._dsn, "gateway", gateway.clock, settings, self._spans or self._metrics
        )
        gateway.snapshots = SnapshotKeeper(self._dsn, settings.snapshot_max_age, gateway.organisation_changed)
        await gateway.writer.start()
        await gateway.snapshots.start()
        gateway.tokens.aud = f"vis:{gateway.snapshots.installation_id}"
        gateway.replays = ReplayStore(self._session_dsn, timedelta(seconds=settings.binding_skew))
        gateway.minting = MintingDesk(self._dsn)
        assert gateway.snapshots.installation_id is not None
        gateway.receipts = Receipts(self._dsn, gateway.keys, gateway.clock, gateway.snapshots.installation_id)
        self._counting = gateway.loop.create_task(self._count_strangers(), name="strangers")
        gateway.upstream = Upstream(settings.connect_timeout, settings.idle_timeout)
        gateway.deadlines.start()
        self._collector.start()
        if self._siblings:
            await self._siblings.start()
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
        if self._siblings:
            self._siblings.close()
        self._counting.cancel()
        with suppress(*AWAY):
            await self._gateway.strangers.write_down(self._desk, self._gateway.writer.writer_no)
        self._desk.close()
        self._gateway.minting.close()
        self._gateway.receipts.close()
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
        if self._spans is not None:
            await self._spans.close()


def _spare_the_collector() -> None:
    """Keep the collector off what was loaded at the start and lives for ever.

    The price book alone is some 100,000 objects; left to itself it walks them again and again, in the middle of calls.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_ALLOWED, 20, 20)
