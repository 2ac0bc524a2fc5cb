"""`GET /usage/card`: the usage card of whoever a key is for, as JSON or as HTML, and for the pages that may ask from afar.

A key sees what it is bound to and nothing wider: the narrowest budget among its own scopes, or without one the month of
its end customer, or of itself. Reading is bounded: one query at a time, and its answer stands for some seconds.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import structlog

from visionality.core.call import Headers, Refusal
from visionality.core.row import NIL, Row
from visionality.core.window import bounds
from visionality.gateway import client
from visionality.gateway.asking import asker
from visionality.gateway.budgets import Draw
from visionality.gateway.client import Send
from visionality.gateway.dialects import CHAT_COMPLETIONS
from visionality.gateway.principal import Principal
from visionality.gateway.refusals import refuse
from visionality.gateway.state import Gateway
from visionality.gateway.usage_card.card import Card, Limits, Scope, Spent, card
from visionality.gateway.usage_card.page import page
from visionality.ledger.connection import AWAY
from visionality.ledger.ids import uuid7
from visionality.registry.snapshot import Organisation
from visionality.runtime.pooling import connect
from visionality.runtime.sql import statements

log = structlog.get_logger()

PATH = "/usage/card"
STANDS = timedelta(seconds=5)
KEPT = 1_000
"""Cards that are kept at hand."""
BEFORE = timedelta(weeks=8)
"""How far before a window a forecast looks."""
REMEMBERS_REFUSAL = timedelta(minutes=15)
"""How long after a 402 a card asks for an upgrade, unless its cap says so longer."""
OWN = ("spend_token", "key", "customer", "project", "person", "agent")
"""Scopes that a key may see, the first that has a budget."""

_SQL = statements("visionality.gateway.usage_card", "figures.sql")
_encode = msgspec.json.Encoder().encode


class UsageCards:
    """The usage cards of one gateway process. `dsn` reaches the ledger as `vis_writer`."""

    def __init__(self, gateway: Gateway, dsn: str) -> None:
        self._gateway = gateway
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._cards: dict[tuple[UUID, str, str], Card] = {}

    async def answer(self, scope: Mapping[str, Any], send: Send) -> None:
        """Answer one request for a card, whatever its method."""
        method, headers = scope["method"], tuple(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        cors = self._cors(headers)
        if method == "OPTIONS":
            await client.answer(send, 204, cors, b"")
            return
        if method not in {"GET", "HEAD"}:
            await self._refuse(
                send,
                Refusal(404, "route_not_metered", f"a usage card is asked for with GET, not {method}"),
                cors,
            )
            return
        try:
            made = await self._card(scope)
        except Refusal as refusal:
            await self._refuse(send, refusal, cors)
            return
        as_page = "format=html" in query.split("&") or _prefers_html(headers)
        content, kind = (
            (page(made), b"text/html; charset=utf-8") if as_page else (_encode(made), b"application/json")
        )
        await client.answer(
            send,
            200,
            [(b"content-type", kind), (b"cache-control", b"no-store"), *cors],
            b"" if method == "HEAD" else content,
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _refuse(self, send: Send, refusal: Refusal, cors: list[tuple[bytes, bytes]]) -> None:
        refusal.headers += tuple(cors)
        await refuse(send, CHAT_COMPLETIONS, refusal, str(uuid7()))

    def _cors(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """What a browser wants to hear of a page of another origin, where the operator allows that one."""
        origin = next((value for name, value in headers if name == b"origin"), b"")
        varies = [(b"vary", b"origin")]
        if origin.decode("latin-1") not in (self._gateway.settings.card_origins or ()):
            return varies
        return [
            *varies,
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", b"GET"),
            (b"access-control-allow-headers", b"authorization, x-api-key"),
            (b"access-control-max-age", b"600"),
        ]

    async def _card(self, scope: Mapping[str, Any]) -> Card:
        """The card of the caller. Raises Refusal."""
        now = self._gateway.clock()
        organisation, principal = await asker(self._gateway, scope, now)
        grant = principal.grant
        whose, draw = self._scope(organisation, principal, now)
        key = (grant.org_id, whose.kind, whose.value)
        found = self._cards.get(key)
        if found is not None and found.as_of + STANDS > now:
            return found
        async with self._one_at_a_time:
            found = self._cards.get(key)
            if found is not None and found.as_of + STANDS > now:
                return found
            made = await self._read(grant.org_id, whose, draw, now)
        if len(self._cards) >= KEPT:
            self._cards.clear()
        self._cards[key] = made
        return made

    def _scope(
        self, organisation: Organisation, principal: Principal, now: datetime
    ) -> tuple[Scope, Draw | None]:
        """What the card is of, and the budget that it has."""
        grant = principal.grant
        zone = ZoneInfo(organisation.time_zone)
        multiplier = self._gateway.multiplier(grant, now)
        drawn = {
            draw.budget.scope_kind: draw
            for draw in reversed(self._gateway.budgets[grant.org_id].draws(_whose(principal), now))
        }
        for kind in OWN:
            if draw := drawn.get(kind):
                window = draw.window
                whose = (kind, window.scope_value, draw.budget.period, window.starts_at, window.ends_at)
                return Scope(*whose, zone, multiplier), draw
        kind, value = ("customer", grant.customer_id) if grant.customer_id else ("key", str(grant.key_id))
        return Scope(kind, value, "month", *bounds("month", zone, now), zone, multiplier), None

    async def _read(self, org_id: UUID, scope: Scope, draw: Draw | None, now: datetime) -> Card:
        """The figures, from the ledger. Raises Refusal when it is away."""
        try:
            return await self._figures(org_id, scope, draw, now)
        except AWAY as error:
            self.close()
            log.warning("usage_card_unreadable", error=str(error), error_type=type(error).__name__)
            raise Refusal(
                503, "ledger_unavailable", "the ledger cannot be read now: try again later"
            ) from None

    async def _figures(self, org_id: UUID, scope: Scope, draw: Draw | None, now: datetime) -> Card:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, opens_within=5, answers_within=10)
        connection = self._connection
        limits = None
        if draw is not None:
            found = await connection.fetchrow(_SQL["window"], org_id, draw.window.window_id)
            limits = Limits(*found) if found else Limits(draw.budget.cap_nusd, 0, 0)
        since = max(scope.starts_at - BEFORE, bounds("total", scope.zone, now)[0])
        lines = await connection.fetch(
            _SQL["spent"],
            org_id,
            scope.kind,
            scope.value,
            since,
            str(scope.zone),
            scope.starts_at,
            scope.ends_at,
        )
        refused_at = await connection.fetchval(
            _SQL["refused_at"], org_id, now - REMEMBERS_REFUSAL, f"{scope.kind}:{scope.value}"
        )
        return card(scope, limits, [Spent(*line) for line in lines], refused_at, now)


def _whose(principal: Principal) -> Row:
    """A call of this key, as far as its own scopes go."""
    grant = principal.grant
    return Row(
        org_id=grant.org_id,
        request_id=NIL,
        provider="",
        dialect="",
        agent_sub=grant.agent_sub,
        sso_sub=grant.sso_sub,
        key_id=grant.key_id,
        spend_token_id=principal.token_id,
        project_id=grant.project_id,
        customer_id=grant.customer_id,
    )


def _prefers_html(headers: Headers) -> bool:
    accept = next((value for name, value in headers if name == b"accept"), b"")
    return accept.startswith(b"text/html")
