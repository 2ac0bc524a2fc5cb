"""Envelopes and spend tokens as the gateway takes them (core.spend_token): verified once, then believed for a minute.

What is remembered is forgotten with every change of the control data, so a signing key that is revoked verifies nothing
more; and whether a token was revoked, or its person or organisation, is asked with every call.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from visionality.core.spend_token import BadToken, Claims, check_times, taken_apart, verified
from visionality.gateway.principal import Checkout, Principal
from visionality.registry.snapshot import Grant, Organisation, Snapshot

BELIEVED = 60.0
"""Seconds."""
REMEMBERED = 10_000


class _Known(NamedTuple):
    until: float
    claims: Claims


class Tokens:
    """The tokens of one gateway. `aud` is the installation's id, which every token of it names."""

    def __init__(self) -> None:
        self.aud = ""
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._trusted: Mapping[bytes, object] | None = None

    def principal(
        self, snapshot: Snapshot, text: str, digest: bytes, now: datetime, monotonic: float
    ) -> Principal:
        """Whose token it is. Raises BadToken for one that can be tied to nobody."""
        claims = self.claims(snapshot, text, digest, now, monotonic)
        grant = snapshot.grants_by_id.get(_uuid(claims.par or claims.jti))
        if grant is None or str(grant.org_id) != claims.org:
            raise BadToken("invalid", "the key that it stands for is not known here")
        organisation = snapshot.organisations[grant.org_id]
        ended = _ended(organisation, grant, claims, now)
        if claims.par is None:
            return Principal(grant, digest, None, claims.bnd.th, ended, claims.rot)
        narrow = narrowed(organisation, grant, claims)
        if claims.bud is None:
            checkout = Checkout(claims.jti, claims.rep, claims.brn, claims.cmt)
            return Principal(narrow, digest, None, claims.bnd.th, ended, claims.rot, checkout)
        return Principal(narrow, digest, claims.jti, claims.bnd.th, ended)

    def claims(self, snapshot: Snapshot, text: str, digest: bytes, now: datetime, monotonic: float) -> Claims:
        """What a token says, whatever that says of times. Raises BadToken."""
        if snapshot.trusted is not self._trusted:
            self._known.clear()
            self._trusted = snapshot.trusted
        known = self._known.get(digest)
        if known is not None and known.until > monotonic:
            return known.claims
        claims = verified(taken_apart(text), snapshot.trusted, now)
        if claims.aud != self.aud or claims.iss != self.aud:
            raise BadToken("invalid", "it is for another installation")
        self._known[digest] = _Known(monotonic + BELIEVED, claims)
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return claims


def narrowed(organisation: Organisation, grant: Grant, claims: Claims) -> Grant:
    """The grant as a spend token or an exchanged key narrows it."""
    project = organisation.projects.get(claims.prj) if claims.prj else None
    named = grant
    if project is not None and project.project_id != grant.project_id:
        named = replace(
            grant,
            project_id=project.project_id,
            customer_id=project.customer_id,
            gl_code=project.gl_code,
            business_unit=project.business_unit or grant.business_unit,
            passthrough=project.passthrough,
        )
    return replace(
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


def _ended(organisation: Organisation, grant: Grant, claims: Claims, now: datetime) -> str | None:
    try:
        check_times(claims, now)
    except BadToken as bad:
        if bad.fault == "invalid":
            raise
        return bad.fault
    if claims.gen < organisation.epoch or claims.sgen < grant.person_epoch_now:
        return "revoked"
    if claims.par is not None:
        if _uuid(claims.jti) in organisation.revoked_tokens:
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
