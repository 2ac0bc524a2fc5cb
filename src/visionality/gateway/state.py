"""What every call of one gateway process shares."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from visionality.core.allocation import Dated, multiplier_at
from visionality.core.aws_signature import secret_key
from visionality.core.call import Refusal
from visionality.core.handle import at_rest, has_shape
from visionality.core.row import Row
from visionality.gateway.batches.ended import Ended
from visionality.gateway.budgets import Budgets
from visionality.gateway.deadline import Deadlines
from visionality.gateway.limits import RateLimits
from visionality.gateway.organisation_keys import OrganisationKeys
from visionality.gateway.providers import named
from visionality.gateway.purpose import Purposes
from visionality.gateway.receipts.desk import Receipts
from visionality.gateway.repeats import Repeats
from visionality.gateway.strangers import Stranger, Strangers
from visionality.gateway.tokens import Tokens
from visionality.gateway.upstream import Upstream
from visionality.ledger.ids import uuid7
from visionality.ledger.minting import MintingDesk
from visionality.ledger.replay import ReplayStore
from visionality.ledger.writer import LedgerAway, LedgerWriter
from visionality.pricebook.book import Override, PriceBook
from visionality.registry.snapshot import (
    BindingKeyRecord,
    Grant,
    MarkupRecord,
    Organisation,
    ProviderRecord,
    SealedKey,
    SigningKeyRecord,
    SnapshotKeeper,
)
from visionality.runtime.clock import Clock
from visionality.runtime.settings import Settings
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import (
    AWS_PAIRS,
    HANDLE_PEPPER,
    binding_context,
    organisation_context,
    provider_context,
    signing_context,
)
from visionality.vault.sealing import Context, SealBroken, unseal

REMEMBERED = 10_000
"""Handles."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A provider's key, and what only this provider has."""

    secret: bytes
    models: Mapping[str, str]
    """From the name of a deployment to the model that it runs."""
    retries: int


def _price_list(name: str) -> str:
    """Where the price book keeps what an operator set for a provider: with the list that its calls are priced by."""
    provider = named(name)
    return name if provider is None else provider.price_list


@dataclass(slots=True)
class Gateway:
    """The long-lived parts. Price books, budgets and opened credentials follow the snapshot."""

    settings: Settings
    clock: Clock
    keys: KeyProvider
    books: dict[UUID, PriceBook] = field(default_factory=dict)
    opened: dict[tuple[UUID, UUID], Opened] = field(default_factory=dict)
    opened_keys: dict[UUID, bytes] = field(default_factory=dict)
    """Binding keys and seeds of signing keys, by id."""
    tokens: Tokens = field(default_factory=Tokens)
    strangers: Strangers = field(default_factory=Strangers)
    purposes: Purposes = field(default_factory=Purposes)
    replays: ReplayStore = field(init=False)
    minting: MintingDesk = field(init=False)
    receipts: Receipts = field(init=False)
    budgets: dict[UUID, Budgets] = field(default_factory=dict)
    repeats: Repeats = field(init=False)
    limits: RateLimits = field(default_factory=RateLimits)
    markups: dict[UUID, Dated[MarkupRecord]] = field(default_factory=dict)
    loop: asyncio.AbstractEventLoop = field(init=False)
    deadlines: Deadlines = field(default_factory=Deadlines)
    ended: Ended = field(default_factory=Ended)
    draining: int = 0
    writer: LedgerWriter = field(init=False)
    snapshots: SnapshotKeeper = field(init=False)
    upstream: Upstream = field(init=False)
    organisation_keys: OrganisationKeys = field(init=False)
    _at_rest: dict[bytes, bytes] = field(default_factory=dict)
    _pepper: bytes = field(init=False)
    _pairing: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.organisation_keys = OrganisationKeys(self.keys)
        self._pepper = self.keys.secret(HANDLE_PEPPER)
        self._pairing = self.keys.secret(AWS_PAIRS)
        self.repeats = Repeats(self._refused_again)

    def organisation_changed(self, organisation: Organisation) -> None:
        """Follow a reloaded snapshot: a new price book, and no secret that is no longer listed."""
        self.books[organisation.org_id] = PriceBook(
            Override(
                record.version,
                _price_list(record.provider),
                record.model,
                {
                    bucket: Decimal(rate)
                    for bucket, rate in msgspec.json.decode(record.rates, type=dict[str, str]).items()
                },
                record.effective_from,
                record.source,
            )
            for record in organisation.prices
        )
        self.budgets[organisation.org_id] = Budgets(
            organisation.org_id, organisation.time_zone, organisation.budgets
        )
        self.repeats.forget_all()
        self.limits.follow(organisation)
        self.purposes.follow(organisation)
        self.markups[organisation.org_id] = Dated(organisation.markups)
        for sealed in (*organisation.binding_keys.values(), *organisation.signing_keys):
            if sealed.revoked_at is not None:
                self.opened_keys.pop(sealed.key_id, None)
        live = {record.credential_id for record in organisation.providers.values()}
        for org_id, credential_id in list(self.opened):
            if org_id == organisation.org_id and credential_id not in live:
                del self.opened[org_id, credential_id]

    def multiplier(self, grant: Grant, at: datetime) -> Decimal:
        """By what the cost of a grant's calls is multiplied at a moment, to be billed."""
        markups = self.markups[grant.org_id]
        return multiplier_at(markups, customer_id=grant.customer_id, project_id=grant.project_id, at=at)

    def at_rest(self, handle: str, digest: bytes) -> bytes:
        """By what a handle is known, remembered by its digest; empty for what cannot be one."""
        known = self._at_rest.get(digest)
        if known is None and has_shape(handle):
            if len(self._at_rest) >= REMEMBERED:
                self._at_rest.clear()
            known = self._at_rest[digest] = at_rest(self._pepper, handle)
        return known or b""

    def aws_secret(self, at_rest: bytes) -> str:
        """The secret half of the AWS key pair that goes with a handle."""
        return secret_key(self._pairing, at_rest)

    async def open(self, org_id: UUID, record: ProviderRecord) -> Opened:
        """A provider's credential, opened once. Raises SealBroken and Refusal."""
        opened = self.opened.get((org_id, record.credential_id))
        if opened is None:
            kek = await self.organisation_keys.unwrap(
                organisation_context(org_id, record.kek_id, record.generation), record.wrapped
            )
            context = provider_context(org_id, record.credential_id, record.kek_id, record.generation)
            options = msgspec.json.decode(record.options, type=dict[str, Any])
            secret = unseal(kek, context, record.sealed)
            opened = Opened(secret, options.get("models", {}), options.get("retries", 0))
            self.opened[org_id, record.credential_id] = opened
        return opened

    async def binding_key(self, org_id: UUID, record: BindingKeyRecord) -> bytes:
        """A service's second factor, opened once. Raises Refusal."""
        return await self._opened_key(org_id, record, binding_context)

    async def signer(self, org_id: UUID, record: SigningKeyRecord) -> Ed25519PrivateKey:
        """What signs spend tokens. Raises Refusal."""
        return Ed25519PrivateKey.from_private_bytes(await self._opened_key(org_id, record, signing_context))

    async def _opened_key(
        self, org_id: UUID, record: SealedKey, bound_to: Callable[[UUID, UUID, UUID, int], Context]
    ) -> bytes:
        opened = self.opened_keys.get(record.key_id)
        if opened is None:
            owner = organisation_context(org_id, record.kek_id, record.generation)
            context = bound_to(org_id, record.key_id, record.kek_id, record.generation)
            try:
                kek = await self.organisation_keys.unwrap(owner, record.wrapped)
                opened = unseal(kek, context, record.sealed)
            except SealBroken:
                raise Refusal(
                    503,
                    "binding_key_unreadable",
                    f"the {context.purpose} cannot be opened with this master key",
                ) from None
            self.opened_keys[record.key_id] = opened
        return opened

    async def stranger(self, refusal: Stranger, method: str, path: str, address: str) -> None:
        """Count a credential that is nobody's. In a flood of them this takes its time."""
        self.strangers.came(self.clock(), refusal.code, method, path, refusal.shown, address)
        if pause := self.strangers.pause(self.now()):
            await asyncio.sleep(pause)

    def _refused_again(self, row: Row, times: int) -> None:
        """Write up, in one row, how often a caller repeated a refused call."""
        tags = {**(row.tags or {}), "repeats": str(times)}
        now = self.clock()
        with suppress(LedgerAway):
            self.writer.settle(replace(row, id=uuid7(), request_id=uuid7(), created_at=now, tags=tags), None)

    @property
    def trouble(self) -> str | None:
        """Why calls cannot be served now, as a sentence that tells no secret; None while they can."""
        return self.writer.trouble or self.snapshots.trouble

    def now(self) -> float:
        """Monotonic seconds, for latencies and deadlines."""
        return self.loop.time()
