"""The second factor of a request: what its level asks for, what was sent, and whether it holds (core.binding).

The order matters: nothing before the MAC changes anything that others see, so a thief without the key can neither use up
somebody's nonce nor fill the replay store; and the nonce is claimed last, so that a refused request may be sent again.
What is told outside does not say which check failed; the row's `binding_status` does.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from visionality.core.binding import CALLER, Proof, Signed, Status, is_proven, read, replay_digest
from visionality.core.call import Headers, Refusal
from visionality.core.level import OBSERVED, PINNED, REQUIRED, STRICT
from visionality.gateway.principal import Principal
from visionality.gateway.state import Gateway
from visionality.ledger.replay import Nonce, ReplayStore, ReplayUnknown
from visionality.registry.snapshot import BindingKeyRecord, Grant, Organisation

_DESCRIBING = frozenset({b"content-type", b"content-encoding"})
_NOBODYS_KEY = bytes(32)
"""With which a proof under an unknown key is checked, so that it takes as long as any other."""


class Unproven(Refusal):
    """The second factor is missing or does not hold."""

    def __init__(self, status: int, code: str, message: str, found: Status, headers: Headers = ()) -> None:
        super().__init__(status, code, message, headers=headers)
        self.binding_status: Status = found


class Announced(NamedTuple):
    """A proof as its headers tell it, before anything of it is believed."""

    proof: Proof
    caller: str


class Asked(NamedTuple):
    """The request that a proof must be of, byte by byte as it came."""

    method: str
    target: bytes
    """The path, with `?` and the query where there is one."""
    headers: Headers
    body_sha256: bytes


NOTHING_SHA256 = hashlib.sha256(b"").digest()


def level_of(organisation: Organisation, principal: Principal) -> int:
    """The level in force: nothing in a request lowers it."""
    project = organisation.projects.get(principal.grant.project_id or "")
    floor = project.level_floor if project else 0
    return max(organisation.level_floor, floor, principal.grant.level)


def check_level(grant: Grant, level: int) -> None:
    """Raise Refusal where a floor was raised above what the key was issued with: it names no network, or no caller."""
    if level == PINNED and not grant.networks:
        raise Refusal(
            403, "network_denied", "a floor asks for keys that are pinned to networks: use such a key"
        )
    if level >= STRICT and not grant.callers:
        raise Unproven(
            401,
            "caller_not_allowed",
            "a floor asks for keys that name their callers: use such a key",
            "caller_denied",
        )


def announced(headers: Headers, level: int, arrived: datetime, skew: float) -> Announced | Status:
    """The proof that the headers carry, or what stands on the row where none is needed; `skew` in seconds.

    Raises Unproven.
    """
    proofs = [value for name, value in headers if name == b"x-acc-binding"]
    if not proofs:
        if level >= REQUIRED:
            raise Unproven(
                401,
                "binding_required",
                "this key needs a proof with every request: sign it with the binding key (docs/guide/signing.md)",
                "missing",
            )
        return "absent_allowed" if level == OBSERVED else "not_required"
    callers = [value for name, value in headers if name == b"x-acc-caller"]
    described = sum(name in _DESCRIBING for name, _ in headers)
    proof = read(proofs[0].decode("latin-1")) if len(proofs) == 1 else None
    caller = callers[0].decode("latin-1") if len(callers) == 1 else ""
    if (
        proof is None
        or not CALLER.fullmatch(caller)
        or described > len({n for n, _ in headers} & _DESCRIBING)
    ):
        raise _invalid("malformed")
    if abs(arrived.timestamp() - int(proof.signed_at)) > skew:
        now = arrived.isoformat(timespec="seconds").replace("+00:00", "Z")
        raise Unproven(
            401,
            "binding_stale",
            f"the proof's time is more than {skew:g} s from the time here, which is {now}",
            "stale",
            ((b"x-vis-server-time", str(int(arrived.timestamp())).encode()),),
        )
    return Announced(proof, caller)


def check_floor(organisation: Organisation, grant: Grant, level: int, status: str) -> None:
    """Raise Unproven where the project that a call turns out to be for has a floor that it does not stand on."""
    project = organisation.projects.get(grant.project_id or "")
    floor = project.level_floor if project else 0
    if floor <= level or (floor <= REQUIRED and status == "verified"):
        return
    if floor < OBSERVED and grant.networks:
        return
    raise Unproven(
        401,
        "binding_required",
        f"the project that this call is for asks for level L{floor}: use a key of that level",
        "missing",
    )


async def check(
    gateway: Gateway,
    organisation: Organisation,
    principal: Principal,
    said: Announced,
    asked: Asked,
    now: datetime,
) -> None:
    """Raise Unproven unless this very request was signed with a key of the grant's service, by a caller it allows."""
    record = organisation.binding_keys.get(said.proof.key_id)
    status = _status_of(record, principal, now)
    key = _NOBODYS_KEY if record is None or status else await gateway.binding_key(organisation.org_id, record)
    holds = is_proven(key, gateway.tokens.aud, said.proof, _signed(asked, said.caller, principal))
    if status:
        raise _invalid(status)
    if not holds:
        raise _invalid("mismatch")
    if principal.grant.callers and said.caller not in principal.grant.callers:
        raise Unproven(
            401,
            "caller_not_allowed",
            "this key is not for the caller that the request names",
            "caller_denied",
        )


async def claim(store: ReplayStore, organisation: Organisation, said: Announced, level: int) -> Status:
    """Use the proof up. Raises Unproven when it was used, or when nobody can say and the level insists."""
    signed_at = datetime.fromtimestamp(int(said.proof.signed_at), UTC)
    try:
        is_first = await store.claim(Nonce(organisation.org_id, signed_at, replay_digest(said.proof)))
    except ReplayUnknown as unknown:
        if level < REQUIRED:
            return "store_unavailable"
        raise Unproven(
            503, "binding_replay_unavailable", f"{unknown}: sign and send it again", "store_unavailable"
        ) from None
    if not is_first:
        raise Unproven(
            401, "binding_replayed", "this proof was used before: sign each request afresh", "replayed"
        )
    return "verified"


async def prove_empty(
    gateway: Gateway,
    organisation: Organisation,
    principal: Principal,
    scope: Mapping[str, Any],
    now: datetime,
) -> None:
    """The second factor of a request without a body. Raises Unproven."""
    headers, level = tuple(scope["headers"]), level_of(organisation, principal)
    check_level(principal.grant, level)
    said = announced(headers, level, now, gateway.settings.binding_skew)
    if isinstance(said, Announced):
        asked = Asked(scope["method"], target_of(scope), headers, NOTHING_SHA256)
        await check(gateway, organisation, principal, said, asked, now)
        await claim(gateway.replays, organisation, said, level)


def target_of(scope: Mapping[str, Any]) -> bytes:
    """What a request was sent to, byte by byte."""
    query: bytes = scope["query_string"]
    path: bytes = scope["raw_path"]
    return path + b"?" + query if query else path


def _status_of(record: BindingKeyRecord | None, principal: Principal, now: datetime) -> Status | None:
    """What is wrong with the key itself."""
    if record is None or record.revoked_at is not None:
        return "key_unknown"
    if record.retires_at is not None and record.retires_at <= now:
        return "key_unknown"
    if record.service_id != principal.grant.service_id:
        return "key_mismatch"
    if principal.thumbprint is not None and principal.thumbprint != record.thumbprint.hex():
        return "key_mismatch"
    return None


def _signed(asked: Asked, caller: str, principal: Principal) -> Signed:
    values = dict(asked.headers)
    return Signed(
        asked.method.encode(),
        asked.target,
        values.get(b"content-type", b""),
        values.get(b"content-encoding", b""),
        caller.encode(),
        asked.body_sha256,
        principal.token_sha256,
    )


def _invalid(status: Status) -> Unproven:
    return Unproven(
        401, "binding_invalid", "the proof of this request does not hold (docs/guide/signing.md)", status
    )
