"""The policy snapshot: what the control plane decided, in memory, replaced whole and never edited.

A gateway polls the organisations' revisions and reloads those that moved. An admission on a snapshot older than
`max_age` waits for one poll and is refused when that fails, so a revoked key is refused within that bound.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec
import structlog

from visionality.core.attribution import RepoRecord, Tracked
from visionality.core.level import STRICT
from visionality.core.spend_token import TrustedKey, by_kid
from visionality.core.task_class_rules import ClassRule
from visionality.core.window import EVER, Period
from visionality.registry.issues import UNREADABLE, IssueKeeper
from visionality.runtime.away import why
from visionality.runtime.pooling import connect
from visionality.runtime.sql import statements

log = structlog.get_logger()

POLL = 0.5
"""Seconds between polls; a change is in force after one."""
AT_A_TIME = 500
"""Keys that are read before calls get their turn: a few milliseconds of work, of an organisation that may have 100,000."""

_UNTRACKED = Tracked()

_SQL = statements("visionality.registry.sql", "snapshot.sql")


class SnapshotStale(Exception):
    """The control data could not be read recently enough to decide on it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A virtual key with its bindings, as `vis.keys_v1` has them."""

    org_id: UUID
    key_id: UUID
    handle_hmac: bytes
    expires_at: datetime
    revoked_at: datetime | None
    agent_sub: str
    agent_owner: str
    sso_sub: str | None
    team_id: str | None
    cost_center: str | None
    project_id: str | None
    gl_code: str | None
    customer_id: str | None
    task_id: str | None
    task_class: str | None
    memo: str | None
    url: str | None
    passthrough: str | None
    """The providers to which calls without a meter may go, as JSON text: each with the US dollars of a request or null."""
    business_unit: str | None
    """The project's, else the team's."""
    previous_hmac: bytes | None
    """Of the handle before the last rotation, which goes on until `previous_until`."""
    previous_until: datetime | None
    rotation: int
    level: int
    scopes: frozenset[str]
    """What it may do: `call` a model, `mint` spend tokens, `exchange` itself for short-lived keys."""
    models: tuple[str, ...]
    """As globs; none allows all, as with the two below."""
    providers: tuple[str, ...]
    networks: tuple[str, ...]
    callers: tuple[str, ...]
    service_id: UUID | None
    """Whose binding keys prove its requests."""
    org_epoch: int
    """The organisation's when it was issued, and the person's; it ends when either moves on."""
    person_epoch: int
    person_epoch_now: int
    projects: tuple[str, ...]
    """Which a key without a project may claim; none allows all of the organisation's."""


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project as a spend token may name it."""

    project_id: str
    customer_id: str | None
    gl_code: str | None
    business_unit: str | None
    passthrough: str | None
    level_floor: int


@dataclass(frozen=True, slots=True)
class SealedKey:
    """Where a key stands that only the gateway opens."""

    key_id: UUID
    sealed: bytes
    kek_id: UUID
    generation: int
    wrapped: bytes
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class BindingKeyRecord(SealedKey):
    """A service's second factor."""

    service_id: UUID
    thumbprint: bytes
    retires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SigningKeyRecord(SealedKey):
    """What spend tokens and envelopes are signed with."""

    public: bytes
    active_from: datetime
    active_until: datetime | None
    verify_until: datetime | None


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """Where a provider's calls go; the credential is still sealed."""

    provider: str
    base_url: str
    on_abort: str
    credential_id: UUID
    sealed: bytes
    kek_id: UUID
    generation: int
    wrapped: bytes
    options: str
    """What only this provider has, as JSON text."""


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """An override; `rates` is the stored JSON text."""

    version: int
    provider: str
    model: str
    rates: str
    effective_from: datetime
    source: str


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """A cap on a scope's spend in each period; the value `*` is each value for itself."""

    budget_id: UUID
    scope_kind: str
    scope_value: str
    period: Period
    cap_nusd: int
    hard: bool
    soft: tuple[int, ...]
    """Percents of the cap at which the operator is told, in rising order."""
    near_cap: Literal["refuse", "clamp"]
    """What becomes of a call that would fit with a shorter answer."""
    ceiling_nusd: int | None
    """What is held for a call of unknown price; None refuses it."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MarkupRecord:
    """What the cost of a customer's or a project's rows is multiplied with to be billed, since a moment."""

    markup_id: UUID
    scope_kind: str
    scope_value: str
    multiplier: Decimal
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class HintRecord:
    """The model that certain calls get instead of the one they ask for; an empty selector is any."""

    hint_id: UUID
    agent_sub: str
    project: str
    task_class: str
    model_from: str
    """A model, or a family of models."""
    prefer: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RateLimitRecord:
    """How many requests and tokens a minute; None does not limit. The value `*` is each value for itself."""

    limit_id: UUID
    scope_kind: str
    scope_value: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation's policy at one revision."""

    org_id: UUID
    revision: int
    grants: tuple[Grant, ...]
    providers: Mapping[str, ProviderRecord]
    prices: tuple[PriceRecord, ...]
    time_zone: str
    """In which its budgets' periods begin: an IANA name."""
    level_floor: int
    epoch: int
    denied_project: str
    """What becomes of a call that claims a project which its key may not claim: `queue` or `refuse`."""
    projects: Mapping[str, ProjectRecord]
    customers: frozenset[str]
    repos: tuple[RepoRecord, ...]
    """The mapping file: which repository is for which project."""
    project_aliases: Mapping[str, str]
    task_class_rules: tuple[ClassRule, ...]
    """In the order in which they are tried."""
    tracked: Tracked
    """What its trackers know; nothing before one was read whole."""
    binding_keys: Mapping[str, BindingKeyRecord]
    """By id, as a proof names it."""
    signing_keys: tuple[SigningKeyRecord, ...]
    revoked_tokens: frozenset[UUID]
    budgets: tuple[BudgetRecord, ...]
    markups: tuple[MarkupRecord, ...]
    """In the order in which they came into force."""
    hints: tuple[HintRecord, ...]
    rate_limits: tuple[RateLimitRecord, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All organisations, their grants by keyed hash of the handle and by id, and the keys that sign tokens, by kid."""

    organisations: Mapping[UUID, Organisation] = field(default_factory=dict)
    grants: Mapping[bytes, Grant] = field(default_factory=dict)
    grants_by_id: Mapping[UUID, Grant] = field(default_factory=dict)
    trusted: Mapping[bytes, Sequence[TrustedKey]] = field(default_factory=dict)


def snapshot_of(organisations: Mapping[UUID, Organisation]) -> Snapshot:
    """The organisations with what is looked up in them. A revoked signing key is trusted by nobody."""
    grants = [grant for org in organisations.values() for grant in org.grants]
    by_handle = {grant.previous_hmac: grant for grant in grants if grant.previous_hmac}
    by_handle |= {grant.handle_hmac: grant for grant in grants}
    trusted = by_kid(
        TrustedKey(str(org.org_id), key.public, key.active_from, key.verify_until or EVER[1])
        for org in organisations.values()
        for key in org.signing_keys
        if key.revoked_at is None
    )
    return Snapshot(
        MappingProxyType(organisations),
        MappingProxyType(by_handle),
        MappingProxyType({grant.key_id: grant for grant in grants}),
        MappingProxyType(trusted),
    )


class SnapshotKeeper:
    """Keeps the newest snapshot. `changed` is told each organisation that was reloaded."""

    def __init__(self, dsn: str, max_age: float, changed: Callable[[Organisation], None]) -> None:
        self._dsn = dsn
        self._max_age = max_age
        self._changed = changed
        self._issues = IssueKeeper(dsn)
        self._connection: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._polled = asyncio.Event()
        self._polled_at = float("-inf")
        self.gateways = 1
        """How many gateways there are, this one among them."""
        self.installation_id: UUID | None = None
        self._cause: Exception | None = None
        self._wanted = asyncio.Event()
        self._snapshot = Snapshot()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._poll()
        await self._issues.settle()
        await self._poll()
        self._task = self._loop.create_task(self._run(), name="snapshot")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._issues.close()
        if self._connection is not None:
            self._connection.terminate()

    @property
    def age(self) -> float:
        """Seconds since the control data was last read."""
        return self._loop.time() - self._polled_at

    @property
    def is_fresh(self) -> bool:
        return self._loop.time() - self._polled_at <= self._max_age

    @property
    def latest(self) -> Snapshot:
        """As it was last read, to report by; decisions are made on `current`."""
        return self._snapshot

    @property
    def trouble(self) -> str | None:
        """Why no call can be decided on now, as a sentence; None while the control data is fresh."""
        if self.is_fresh:
            return None
        return f"the control data is older than {self._max_age:g} s and cannot be read: {why(self._cause)}"

    async def current(self) -> Snapshot:
        """The snapshot to decide on. Raises SnapshotStale when the database cannot be asked within a second."""
        if not self.is_fresh:
            self._polled.clear()
            self._wanted.set()
            try:
                async with asyncio.timeout(1.0):
                    await self._polled.wait()
            except TimeoutError:
                raise SnapshotStale(
                    "the control data is older than it may be and could not be read again"
                ) from None
        return self._snapshot

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._poll()
            except UNREADABLE as error:
                self._cause = error
                if self._connection is not None:
                    self._connection.terminate()
                    log.warning("control_data_unreadable", error=str(error), error_type=type(error).__name__)
                self._connection = None

    async def _poll(self) -> None:
        started = asyncio.get_running_loop().time()
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, opens_within=2, answers_within=2)
        known = self._snapshot.organisations
        trackers = await self._connection.fetch(_SQL["trackers"])
        self._issues.follow({record["org_id"]: record["revision"] for record in trackers})
        moved = await _moved(self._connection, known, self._issues.by_organisation)
        if moved:
            for organisation in moved:
                self._changed(organisation)
            organisations = {**known, **{organisation.org_id: organisation for organisation in moved}}
            self._snapshot = snapshot_of(organisations)
        if self.installation_id is None:
            self.installation_id = await self._connection.fetchval(_SQL["installation"])
        self.gateways = max(1, await self._connection.fetchval(_SQL["gateways"]))
        self._polled_at = started
        self._polled.set()


async def _moved(
    connection: asyncpg.Connection,
    known: Mapping[UUID, Organisation],
    issues: Mapping[UUID, Tracked],
) -> list[Organisation]:
    """The organisations that have another revision than the known one, all as they are at one moment, or other issues."""
    moved = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for org_id, revision in await connection.fetch(_SQL["revisions"]):
            before = known.get(org_id)
            if before is None or before.revision != revision:
                moved.append(await _load(connection, org_id, revision, issues.get(org_id, _UNTRACKED)))
            elif before.tracked is not issues.get(org_id, _UNTRACKED):
                moved.append(replace(before, tracked=issues.get(org_id, _UNTRACKED)))
    return moved


async def _load(
    connection: asyncpg.Connection, org_id: UUID, revision: int, tracked: Tracked
) -> Organisation:
    async def fetch(name: str) -> list[Any]:
        return list(await connection.fetch(_SQL[name], org_id))

    itself = await connection.fetchrow(_SQL["organisation"], org_id)
    time_zone, level_floor, epoch, denied_project = itself or ("UTC", STRICT, 0, "refuse")
    return Organisation(
        org_id,
        revision,
        await _grants(connection, org_id),
        {record["provider"]: ProviderRecord(*record) for record in await fetch("providers")},
        tuple(PriceRecord(*record) for record in await fetch("prices")),
        time_zone,
        level_floor,
        epoch,
        denied_project,
        {record["project_id"]: ProjectRecord(*record) for record in await fetch("projects")},
        frozenset(record["customer_id"] for record in await fetch("customers")),
        tuple(RepoRecord(*record) for record in await fetch("repos")),
        {record["alias"]: record["project_id"] for record in await fetch("project_aliases")},
        tuple(_class_rule(record) for record in await fetch("task_class_rules")),
        tracked,
        {str(record["key_id"]): BindingKeyRecord(*record) for record in await fetch("binding_keys")},
        tuple(SigningKeyRecord(*record) for record in await fetch("signing_keys")),
        frozenset(record["jti"] for record in await fetch("revoked_tokens")),
        tuple(_budget(record) for record in await fetch("budgets")),
        tuple(MarkupRecord(*record) for record in await fetch("markups")),
        tuple(HintRecord(*record) for record in await fetch("hints")),
        tuple(RateLimitRecord(*record) for record in await fetch("rate_limits")),
    )


async def _grants(connection: asyncpg.Connection, org_id: UUID) -> tuple[Grant, ...]:
    """In portions, so that neither calls nor the time that an answer may take have to wait for the last of many keys."""
    keys = connection.cursor(_SQL["keys"], org_id, prefetch=AT_A_TIME)
    return tuple([_grant(record) async for record in keys])


_LISTS = tuple(
    (place, frozenset if one.name == "scopes" else tuple)
    for place, one in enumerate(fields(Grant))
    if one.name in {"scopes", "models", "providers", "networks", "callers", "projects"}
)
"""The places of what comes as a list, and what it becomes."""


def _grant(record: Iterable[Any]) -> Grant:
    """By place, not by name: half the work, and the columns are the fields in their order."""
    values = list(record)
    for place, made in _LISTS:
        values[place] = made(values[place])
    return Grant(*values)


def _class_rule(record: Mapping[str, Any]) -> ClassRule:
    headers = msgspec.json.decode(record["headers"], type=dict[str, str])
    return ClassRule(**{**record, "headers": tuple(sorted(headers.items()))})


def _budget(record: Mapping[str, Any]) -> BudgetRecord:
    return BudgetRecord(**{**record, "soft": tuple(record["soft"])})
