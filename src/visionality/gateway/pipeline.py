"""The life of one call: authenticate, attribute, admit, forward, meter, settle, and only then the last byte."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from visionality.core.aws_signature import Signature
from visionality.core.binding import Status
from visionality.core.body import BadBody, parsed
from visionality.core.call import Ask, Headers, Refusal, Request
from visionality.core.client_address import client_address
from visionality.core.money import usd
from visionality.core.row import Row
from visionality.gateway import (
    admit,
    allowed,
    attribute,
    authenticate,
    binding,
    client,
    hints,
    later,
    passthrough,
    settle,
)
from visionality.gateway.again import wait_before_next
from visionality.gateway.batches import answers, submission
from visionality.gateway.client import Arrived, Client, ClientGone
from visionality.gateway.dialects import Framing
from visionality.gateway.forward import Exchange, Forwarder
from visionality.gateway.headers import downwards
from visionality.gateway.limits import Taken
from visionality.gateway.principal import Principal
from visionality.gateway.purpose import Asked
from visionality.gateway.receipts.desk import ASKED
from visionality.gateway.refusals import refuse
from visionality.gateway.routes import Target, settled
from visionality.gateway.state import Gateway
from visionality.gateway.strangers import Stranger
from visionality.ledger.ids import uuid7
from visionality.ledger.writer import Hold, LedgerAway
from visionality.registry.snapshot import Grant, Organisation, Snapshot, SnapshotStale

log = structlog.get_logger()

_NO_QUESTION = Ask(None, stream=False, output_limit=None)
_ASKS_NOTHING = frozenset({"catalogue", "batch_state"})
_OF_A_BATCH = frozenset({"batch", "batch_state"})
_OF_EARLIER = frozenset({"result", "batch_state"})
"""The kinds whose answer is one of an earlier call's."""
_NAMES_NO_MODEL = attribute.ASKS_NO_MODEL | {"batch"}
"""The kinds of which the body names no model for the key to allow, or each of its lines does."""


class Call(msgspec.Struct, eq=False):
    """One call on its way through. Each stage fills in what the next one needs."""

    gateway: Gateway
    target: Target
    method: str
    query: str
    headers: Headers
    client: Client
    path: str
    """As it was received."""
    raw_query: str
    peer: str
    """The address that the connection comes from."""
    scope: str | None = None
    """What its address says that it is for: the name behind `/at/`."""
    id: UUID = msgspec.field(default_factory=uuid7)
    request_id: str = ""
    """Its id, as it is told."""
    started: float = 0.0
    row: Row | None = None
    organisation: Organisation | None = None
    grant: Grant | None = None
    taken: Taken | None = None
    """What it was admitted with, where a rate limit applies to it."""

    async def run(self) -> None:
        """Answer the client, whatever happens, and leave exactly one row when the caller is known."""
        self.started, self.request_id = self.gateway.now(), str(self.id)
        try:
            row, request, ask, document = await self._identified()
            assert self.organisation is not None
            upstream = await admit.upstream_for(self.gateway, self.organisation, self.target)
            row.provider = upstream.name
            self._keep_to_limits(row, request, ask)
            if self.organisation.hints:
                sent = hints.Sent(self.target, request, ask, document)
                self.target, request, ask, document = hints.applied(
                    self.gateway, self.organisation, row, upstream, sent
                )
            if self.target.route.kind == "batch":
                upstream, ask = await self._batch(row, upstream, document)
            hold, request, ask = await admit.hold(
                self.gateway, row, self.target, upstream, (request, ask, document)
            )
            draft = replace(row) if upstream.retries else row
        except Refusal as refusal:
            await self._refused(refusal)
            return
        except ClientGone:
            return
        except Exception:
            log.exception("admission_failed", request_id=self.request_id)
            await self._refused(Refusal(500, "internal_error", "the gateway failed before the call was sent"))
            return
        asked = (request, ask, document)
        exchange = await self._forwarded(row, upstream, asked)
        while upstream.retries and await self._may_repeat(exchange, row, upstream):
            again = replace(draft, attempt=row.attempt + 1)
            held = await admit.hold_again(self.gateway, again, self.target, upstream, request, ask)
            if held is None:
                break
            row.entry = "attempt"
            stands = await self._settled(row, hold, upstream, exchange)
            self.row, row, hold = again, again, held
            if stands is None:
                await self._refused(Refusal(503, "ledger_unavailable", admit.NOT_DURABLE), hold)
                return
            exchange = await self._forwarded(row, upstream, asked)
        earlier_is_durable = True
        if self.target.route.kind in _OF_EARLIER:
            earlier_is_durable = await self._settled_earlier(upstream, exchange)
        stands = await self._settled(row, hold, upstream, exchange)
        await self._answered(stands if earlier_is_durable else None, exchange)

    async def _identified(self) -> tuple[Row, Request, Ask, dict[str, Any]]:
        """Who calls and what is asked. From here on a refusal leaves a row."""
        arrived, kind = self.gateway.clock(), self.target.route.kind
        principal, body = await self._known(arrived)
        grant = principal.grant
        assert self.organisation is not None
        multiplier = self.gateway.multiplier(grant, arrived)
        self.row = row = attribute.draft(
            self.id, self.organisation, principal, self.target, multiplier, self.headers
        )
        self.grant = grant
        level, said = self._checked(principal, arrived)
        if kind == "passthrough":
            self.target = passthrough.opened(self.target, grant, row)
        if body is None:
            body = await self._body()
        row.request_sha256 = body.sha256
        row.binding_status = (
            said if isinstance(said, str) else await self._proven(principal, level, said, arrived)
        )
        if self.target.is_open:
            self._settle_target(row, body)
        request = Request(self.method, self.target.suffix, self.query, self.headers, body.body, body.preview)
        document: dict[str, Any] = {}
        ask = _NO_QUESTION
        if self.target.route.kind not in _ASKS_NOTHING:
            dialect = self.target.route.dialect
            try:
                document = dialect.document(request)
            except BadBody as bad:
                raise Refusal(400, bad.code, str(bad)) from None
            ask = dialect.ask(document, self.target.model)
        if self.target.route.kind == "upload" and not passthrough.is_open(grant, self.target.provider):
            submission.check_upload(document)
        attribute.with_model(row, ask)
        if self.target.route.kind not in attribute.ASKS_NO_MODEL:
            grant = self._ascribed(row, principal, document, level, arrived)
        if grant.providers or grant.models:
            asks = self.target.route.kind not in _NAMES_NO_MODEL
            models = [ask.model, *allowed.fallbacks(document)] if asks else []
            allowed.check_models(grant, self.target.provider.name, models)
        return row, request, ask, document

    def _ascribed(
        self, row: Row, principal: Principal, document: dict[str, Any], level: int, arrived: datetime
    ) -> Grant:
        """The grant with the project that the request's evidence leads to. Raises Unproven where that asks for more."""
        assert self.organisation is not None
        grant = principal.grant
        asked = Asked(self.headers, document, self.target.suffix, self.scope, principal.checkout)
        ascribed = self.gateway.purposes.ascribe(self.organisation, grant, row, asked)
        if ascribed is not grant:
            attribute.charge_to(row, ascribed, self.gateway.multiplier(ascribed, arrived))
            binding.check_floor(self.organisation, ascribed, level, row.binding_status)
        return ascribed

    async def _known(self, arrived: datetime) -> tuple[Principal, Arrived | None]:
        """Whose credential it is, and the body where it had to be read to tell. Raises Refusal."""
        in_query: list[str] = []
        if self.query:
            provider = self.target.provider
            names, unsent = provider.key_parameters, provider.unsent_parameters
            self.query, in_query = authenticate.without_keys(self.query, names, unsent)
        signed = authenticate.signature(self.target, self.headers)
        key = "" if signed else authenticate.presented(self.headers, in_query)
        try:
            snapshot = await self.gateway.snapshots.current()
        except SnapshotStale as error:
            raise Refusal(503, "revocation_stale", str(error)) from None
        body = None
        if signed is None:
            principal = authenticate.principal_at(self.gateway, snapshot, key, arrived, self.started)
        else:
            principal, body = await self._signer(snapshot, signed)
        self.organisation = snapshot.organisations[principal.grant.org_id]
        return principal, body

    def _checked(self, principal: Principal, arrived: datetime) -> tuple[int, binding.Announced | Status]:
        """The level in force and the proof that was sent, once the key may be used here and now. Raises Refusal."""
        settings, organisation = self.gateway.settings, self.organisation
        assert organisation is not None
        authenticate.check(organisation, principal, arrived)
        allowed.check_scope(principal.grant, allowed.CALL)
        if principal.grant.networks:
            address = client_address(self.peer, self.headers, settings.trusted_hops)
            allowed.check_network(principal.grant, address)
        level = binding.level_of(organisation, principal)
        binding.check_level(principal.grant, level)
        return level, binding.announced(self.headers, level, arrived, settings.binding_skew)

    async def _proven(
        self, principal: Principal, level: int, said: binding.Announced, arrived: datetime
    ) -> Status:
        """What became of the second factor, now that the body is here. Raises Unproven."""
        assert self.organisation is not None
        assert self.row is not None
        assert self.row.request_sha256 is not None
        target = f"{self.path}?{self.raw_query}" if self.raw_query else self.path
        asked = binding.Asked(self.method, target.encode("latin-1"), self.headers, self.row.request_sha256)
        gateway = self.gateway
        await binding.check(gateway, self.organisation, principal, said, asked, arrived)
        status = await binding.claim(gateway.replays, self.organisation, said, level)
        self.row.caller = said.caller
        return status

    def _keep_to_limits(self, row: Row, request: Request, ask: Ask) -> None:
        """Count the call towards its rate limits. Raises Refusal."""
        assert self.organisation is not None
        if ask.model is not None and self.organisation.rate_limits:
            gateway = self.gateway
            taken = gateway.limits.take(row, gateway.now(), len(request.body), gateway.snapshots.gateways)
            self.taken = taken

    async def _batch(
        self, row: Row, upstream: admit.Upstream, document: dict[str, Any]
    ) -> tuple[admit.Upstream, Ask]:
        """What a batch asks, by its lines. It is submitted once, and read for its id though the client leaves. Raises Refusal."""
        assert self.organisation is not None
        assert self.grant is not None
        ask, models = await submission.weighed(
            self.gateway, self.organisation, row, self.target, upstream, self.client, document
        )
        allowed.check_models(self.grant, self.target.provider.name, models)
        return replace(upstream, drains=True, retries=0), ask

    def _settle_target(self, row: Row, body: Arrived) -> None:
        """Learn from the body where the call goes. Raises Refusal."""
        try:
            self.target, self.headers = settled(parsed(body.body, body.preview), self.headers)
        except BadBody as bad:
            raise Refusal(400, bad.code, str(bad)) from None
        row.provider, row.dialect = self.target.provider.name, self.target.route.dialect.name

    async def _body(self) -> Arrived:
        gateway, settings = self.gateway, self.gateway.settings
        limit, seconds = settings.max_body_bytes, settings.body_timeout
        return await client.body(self.client, self.headers, limit, seconds, gateway.now())

    async def _signer(self, snapshot: Snapshot, signed: Signature) -> tuple[Principal, Arrived]:
        """Whose signature it is, and the body that it covers. Raises Refusal."""
        grant = authenticate.grant_that_signs(snapshot, signed)
        body = await self._body()
        request = Request(self.method, self.path, self.query, self.headers, body.body, body.preview)
        authenticate.check_signature(self.gateway, signed, request)
        return authenticate.principal_that_signs(grant, signed, self.gateway.clock()), body

    async def _forwarded(
        self, row: Row, upstream: admit.Upstream, asked: tuple[Request, Ask, dict[str, Any]]
    ) -> Exchange:
        """Forward under the hold. A fault of ours still settles: the call may have left."""
        forwarder = Forwarder(self.gateway, self.client, self.target, upstream, *asked, self.request_id)
        try:
            return await forwarder.run()
        except Exception as error:
            log.exception("call_failed", request_id=str(row.request_id))
            exchange = forwarder.exchange
            exchange.failure = (500, "internal_error", f"the gateway failed: {type(error).__name__}")
            return exchange

    def _completed(self, row: Row, upstream: admit.Upstream, exchange: Exchange) -> None:
        """Price the call and write into its row what came of it."""
        now = self.gateway.clock()
        settle.price(self.gateway, row, self.target, upstream, exchange.metered, now)
        settle.compare(row, self.target, exchange.headers)
        if self.taken is not None:
            self.gateway.limits.correct(self.taken, row, self.gateway.now())
            self.taken = None
        if self.target.route.kind == "passthrough":
            was_sent = exchange.failure is None or exchange.failure[1] != "upstream_unreachable"
            passthrough.price(row, self.target, exchange.status, was_sent=was_sent)
        settle.stamp(self.gateway, row, self.started, now)
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
        elif exchange.metered.finish in {"upstream_error", "failed"}:
            row.decision, row.reason = "failed", "upstream_error"

    async def _settled_earlier(self, upstream: admit.Upstream, exchange: Exchange) -> bool:
        """Charge the earlier call whose answer this is; it is no usage of this one. False when that is not durable yet."""
        if self.target.route.kind == "batch_state":
            assert self.row is not None
            answers.seen(self.gateway, self.row, upstream, exchange)
        if self.target.route.kind != "result":
            return True
        metered, exchange.metered = exchange.metered, settle.NOTHING
        assert self.organisation is not None
        try:
            org_id = self.organisation.org_id
            return await later.settle_begun(self.gateway, org_id, self.target, upstream, metered)
        except Exception:
            log.exception("pricing_failed", request_id=self.request_id)
            return False

    async def _may_repeat(self, exchange: Exchange, row: Row, upstream: admit.Upstream) -> bool:
        """Wait for the next attempt, where there is to be one. False too when the client leaves or the server stops."""
        wait = wait_before_next(exchange, row.attempt, upstream.retries)
        if wait is None:
            return False
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            return False
        return not self.client.presence.gone

    async def _settled(
        self, row: Row, hold: Hold, upstream: admit.Upstream, exchange: Exchange
    ) -> Row | None:
        """Finish a row and make it durable: the row that stands. None when that took longer than a client is made to wait."""
        try:
            self._completed(row, upstream, exchange)
            if self.target.route.kind == "batch":
                answers.begun(row, hold, exchange)
        except Exception:
            log.exception("pricing_failed", request_id=self.request_id)
            settle.unpriced(self.gateway, row, self.started)
        goes_on = later.hold_for(row, hold, exchange.metered, self.gateway)
        rest = goes_on or settle.rest_of(row, hold, self.gateway)
        return await self.gateway.writer.settle_within(row, hold, rest)

    async def _answered(self, row: Row | None, exchange: Exchange) -> None:
        """The last bytes, now that the row stands, or with None the word that it does not yet."""
        dialect, request_id = self.target.route.dialect, self.request_id
        failure = exchange.failure
        if row is None:
            failure = (
                503,
                "ledger_unavailable",
                "the answer is complete, but its ledger row is not durable yet",
            )
        if exchange.streaming:
            last = exchange.body
            if failure:
                last = dialect.stream_error(failure[1], failure[2], request_id)
                if isinstance(exchange.reader, Framing):
                    last = exchange.reader.framed(last)
            await self.client.send({"type": "http.response.body", "body": last})
            return
        receipt = await self.gateway.receipts.of(row) if ASKED in self.headers else ()
        if failure:
            await refuse(self.client.send, dialect, Refusal(*failure), request_id, receipt)
        else:
            headers = [*downwards(exchange.headers, request_id), *receipt]
            if row and self.target.route.kind == "model_call" and row.price_state == "known":
                headers.append((b"x-vis-cost-usd", usd(row.cost_nusd).encode()))
            body = exchange.body
            if self.target.route.kind in _OF_A_BATCH:
                body = answers.addressed(self.target, body, self.headers, self.path)
            await client.answer(self.client.send, exchange.status, headers, body)

    async def _refused(self, refusal: Refusal, hold: Hold | None = None) -> None:
        stands = None
        if isinstance(refusal, Stranger):
            await self.gateway.stranger(refusal, self.method, self.path, self.peer)
        if isinstance(refusal, binding.Unproven) and self.row is not None:
            self.row.binding_status = refusal.binding_status
        if self.row is not None and not refusal.is_repeat:
            row = self.row
            row.decision, row.reason, row.status_code = "refused", refusal.code, refusal.status
            row.price_state = "known"
            if refusal.tags:
                row.tags = {**(row.tags or {}), **refusal.tags}
            settle.stamp(self.gateway, row, self.started, self.gateway.clock())
            if refusal.code == admit.LEDGER_AWAY:  # the client has waited for the ledger already
                with suppress(LedgerAway):
                    self.gateway.writer.settle(row, hold)
            else:
                stands = await self.gateway.writer.settle_within(row, None)
        receipt = await self.gateway.receipts.of(stands) if ASKED in self.headers else ()
        await refuse(self.client.send, self.target.route.dialect, refusal, self.request_id, receipt)
