"""The life of one call: authenticate, attribute, admit, forward, meter, settle, and only then the last byte."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from visionality.core.body import BadBody
from visionality.core.call import Ask, Headers, Refusal, Request
from visionality.core.money import usd
from visionality.core.row import Row
from visionality.gateway import admit, attribute, authenticate, client, settle
from visionality.gateway.client import Client, ClientGone
from visionality.gateway.forward import Exchange, Forwarder
from visionality.gateway.headers import downwards
from visionality.gateway.refusals import refuse
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.writer import Hold, LedgerAway
from visionality.registry.snapshot import Organisation, SnapshotStale
from visionality.runtime.ids import uuid7

log = structlog.get_logger()

_NO_QUESTION = Ask(None, stream=False, output_limit=None)


@dataclass(slots=True)
class Call:
    """One call on its way through. Each stage fills in what the next one needs."""

    gateway: Gateway
    target: Target
    method: str
    query: str
    headers: Headers
    client: Client
    id: UUID = field(default_factory=uuid7)
    started: float = 0.0
    row: Row | None = None
    organisation: Organisation | None = None

    async def run(self) -> None:
        """Answer the client, whatever happens, and leave exactly one row when the caller is known."""
        self.started = self.gateway.now()
        try:
            row, request, ask, document = await self._identified()
            assert self.organisation is not None
            upstream = admit.upstream_for(self.gateway, self.organisation, self.target)
            row.provider = upstream.name
            hold = await admit.hold(self.gateway, row, self.target, upstream, request, ask)
        except Refusal as refusal:
            await self._refused(refusal)
            return
        except ClientGone:
            return
        except Exception:
            log.exception("admission_failed", request_id=str(self.id))
            await self._refused(Refusal(500, "internal_error", "the gateway failed before the call was sent"))
            return
        forwarder = Forwarder(
            self.gateway, self.client, self.target, upstream, request, ask, document, str(self.id)
        )
        exchange = await self._held(forwarder, row)
        try:
            self._completed(row, upstream, exchange)
        except Exception:
            log.exception("pricing_failed", request_id=str(self.id))
            settle.unpriced(self.gateway, row, self.started)
        durable = await self._durable(row, hold)
        await self._answered(row, exchange, durable=durable)

    async def _identified(self) -> tuple[Row, Request, Ask, dict[str, Any]]:
        """Who calls and what is asked. From here on a refusal leaves a row."""
        key = authenticate.presented(self.headers)
        try:
            snapshot = await self.gateway.snapshots.current()
        except SnapshotStale as error:
            raise Refusal(503, "revocation_stale", str(error)) from None
        grant = authenticate.grant_of(self.gateway, snapshot, key)
        self.organisation = snapshot.organisations[grant.org_id]
        self.row = row = attribute.draft(self.id, self.organisation, grant, self.target)
        authenticate.check(grant, self.gateway.clock())
        settings = self.gateway.settings
        body = await client.body(self.client, self.headers, settings.max_body_bytes, settings.body_timeout)
        request = Request(self.method, self.target.suffix, self.query, self.headers, body)
        document: dict[str, Any] = {}
        ask = _NO_QUESTION
        if self.target.route.kind != "catalogue":
            dialect = self.target.route.dialect
            try:
                document = dialect.document(request)
            except BadBody as bad:
                raise Refusal(400, bad.code, str(bad)) from None
            ask = dialect.ask(document, self.target.model)
        attribute.with_request(row, request, ask)
        return row, request, ask, document

    async def _held(self, forwarder: Forwarder, row: Row) -> Exchange:
        """Forward under the hold. A fault of ours still settles: the call may have left."""
        try:
            return await forwarder.run()
        except Exception as error:
            log.exception("call_failed", request_id=str(row.request_id))
            exchange = forwarder.exchange
            exchange.failure = (500, "internal_error", f"the gateway failed: {type(error).__name__}")
            return exchange

    def _completed(self, row: Row, upstream: admit.Upstream, exchange: Exchange) -> None:
        """Price the call and write into its row what came of it."""
        settle.price(self.gateway, row, self.target, upstream, exchange.metered)
        settle.stamp(self.gateway, row, self.started)
        row.finish = exchange.finish or row.finish
        row.status_code = (
            exchange.failure[0] if exchange.failure and not exchange.streaming else exchange.status
        )
        row.upstream_request_id = settle.upstream_id(exchange.headers)
        if exchange.first_byte_at is not None:
            row.ttft_ms = round((exchange.first_byte_at - self.started) * 1000)
        if exchange.failure:
            row.decision, row.reason = "failed", exchange.failure[1]
        elif exchange.status >= 400:
            row.decision, row.reason = "failed", "upstream_refused"
        elif exchange.metered.finish == "upstream_error":
            row.decision, row.reason = "failed", "upstream_error"

    async def _durable(self, row: Row, hold: Hold | None) -> bool:
        """Make the row durable. False when that took longer than a client is made to wait."""
        rest = settle.rest_of(row, hold, self.gateway) if hold else None
        return await self.gateway.writer.settle_within(row, hold, rest)

    async def _answered(self, row: Row, exchange: Exchange, *, durable: bool) -> None:
        """The last bytes, now that the row stands."""
        dialect, request_id = self.target.route.dialect, str(self.id)
        failure = exchange.failure
        if not durable:
            failure = (
                503,
                "ledger_unavailable",
                "the answer is complete, but its ledger row is not durable yet",
            )
        if exchange.streaming:
            last = exchange.body
            if failure:
                last = dialect.stream_error(failure[1], failure[2], request_id)
            await self.client.send({"type": "http.response.body", "body": last})
        elif failure:
            await refuse(self.client.send, dialect, Refusal(*failure), request_id)
        else:
            headers = downwards(exchange.headers, request_id)
            if self.target.route.kind == "model_call" and row.price_state == "known":
                headers.append((b"x-vis-cost-usd", usd(row.cost_nusd).encode()))
            await client.answer(self.client.send, exchange.status, headers, exchange.body)

    async def _refused(self, refusal: Refusal) -> None:
        if self.row is not None:
            row = self.row
            row.decision, row.reason, row.status_code = "refused", refusal.code, refusal.status
            row.price_state = "known"
            settle.stamp(self.gateway, row, self.started)
            if refusal.code == "ledger_unavailable":  # the client has waited for the ledger already
                with suppress(LedgerAway):
                    self.gateway.writer.settle(row, None)
            else:
                await self._durable(row, None)
        await refuse(self.client.send, self.target.route.dialect, refusal, str(self.id))
