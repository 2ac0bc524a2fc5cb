"""Envelopes and spend tokens as the gateway takes them (core.spend_token): verified once, then believed for a minute.

What is remembered, and to what a token narrows its grant, is forgotten with every change of the control data, so a
signing key that is revoked verifies nothing more; and whether a token was revoked, or its person or organisation, and
the time, is asked with every call.
"""

import dataclasses
from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from visionality.core.spend_token import BadToken, Claims, check_times, taken_apart, verified
from visionality.gateway.principal import Checkout, Principal
from visionality.registry.snapshot import Grant, Organisation, Snapshot

BELIEVED = 60.0
"""Seconds."""
REMEMBERED = 10_000


class _Bearer(NamedTuple):
    """Whose token it is by the control data as they are, whatever the time."""

    grant: Grant
    """The key's own."""
    organisation: Organisation
    principal: Principal
    derived_id: UUID | None
    """The id of a token that was derived from its grant, by which it may have been revoked."""


class _Known(msgspec.Struct):
    until: float
    claims: Claims
    bearer: _Bearer | None = None


class Tokens:
    """The tokens of one gateway. `aud` is the installation's id, which every token of it names."""

    def __init__(self) -> None:
        self.aud = ""
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._snapshot: Snapshot | None = None

    def principal(
        self, snapshot: Snapshot, text: str, digest: bytes, now: datetime, monotonic: float
    ) -> Principal:
        """Whose token it is. Raises BadToken for one that can be tied to nobody."""
        known = self._verified(snapshot, text, digest, now, monotonic)
        if known.bearer is None:
            known.bearer = _bearer(snapshot, known.claims, digest)
        ended = _ended(known.bearer, known.claims, now)
        return replace(known.bearer.principal, ended=ended) if ended else known.bearer.principal

    def claims(self, snapshot: Snapshot, text: str, digest: bytes, now: datetime, monotonic: float) -> Claims:
        """What a token says, whatever that says of times. Raises BadToken."""
        return self._verified(snapshot, text, digest, now, monotonic).claims

    def _verified(
        self, snapshot: Snapshot, text: str, digest: bytes, now: datetime, monotonic: float
    ) -> _Known:
        if snapshot is not self._snapshot:
            self._known.clear()
            self._snapshot = snapshot
        known = self._known.get(digest)
        if known is not None and known.until > monotonic:
            return known
        claims = verified(taken_apart(text), snapshot.trusted, now)
        if claims.aud != self.aud or claims.iss != self.aud:
            raise BadToken("invalid", "it is for another installation")
        known = self._known[digest] = _Known(monotonic + BELIEVED, claims)
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known


def _bearer(snapshot: Snapshot, claims: Claims, digest: bytes) -> _Bearer:
    """Raises BadToken for a token of nobody here."""
    grant = snapshot.grants_by_id.get(_uuid(claims.par or claims.jti))
    if grant is None or str(grant.org_id) != claims.org:
        raise BadToken("invalid", "the key that it stands for is not known here")
    organisation = snapshot.organisations[grant.org_id]
    if claims.par is None:
        principal = Principal(grant, digest, None, claims.bnd.th, None, claims.rot)
        return _Bearer(grant, organisation, principal, None)
    narrow = narrowed(organisation, grant, claims)
    if claims.bud is None:
        checkout = Checkout(claims.jti, claims.rep, claims.brn, claims.cmt)
        principal = Principal(narrow, digest, None, claims.bnd.th, None, claims.rot, checkout)
    else:
        principal = Principal(narrow, digest, claims.jti, claims.bnd.th)
    return _Bearer(grant, organisation, principal, _uuid(claims.jti))


def narrowed(organisation: Organisation, grant: Grant, claims: Claims) -> Grant:
    """The grant as a spend token or an exchanged key narrows it."""
    project = organisation.projects.get(claims.prj) if claims.prj else None
    named = grant
    if project is not None and project.project_id != grant.project_id:
        named = dataclasses.replace(
            grant,
            project_id=project.project_id,
            customer_id=project.customer_id,
            gl_code=project.gl_code,
            business_unit=project.business_unit or grant.business_unit,
            passthrough=project.passthrough,
        )
    return dataclasses.replace(
        named,
        customer_id=claims.cus or named.customer_id,
        task_id=claims.tsk or named.task_id,
        task_class=claims.tcl or named.task_class,
        memo=claims.memo or named.memo,
        url=claims.url or named.url,
        expires_at=min(grant.expires_at, datetime.fromtimestamp(claims.exp, UTC)),
        scopes=frozenset(claims.scp),
        models=claims.mdl or grant.models,
        providers=claims.prv or grant.providers,
        networks=claims.net or grant.networks,
        callers=claims.bnd.clr or grant.callers,
        level=max(grant.level, claims.bnd.lvl),
    )


def _ended(bearer: _Bearer, claims: Claims, now: datetime) -> str | None:
    grant, organisation, _, derived_id = bearer
    try:
        check_times(claims, now)
    except BadToken as bad:
        if bad.fault == "invalid":
            raise
        return bad.fault
    if claims.gen < organisation.epoch or claims.sgen < grant.person_epoch_now:
        return "revoked"
    if derived_id is not None:
        if derived_id in organisation.revoked_tokens:
            return "revoked"
        if claims.bud is not None:  # it took a binding key to mint, so no thief of the handle did
            return None
    if claims.rot == grant.rotation:
        return None
    follows = grant.previous_until is not None and now < grant.previous_until
    return None if follows and claims.rot == grant.rotation - 1 else "revoked"


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadToken("invalid", "it names no key") from None
