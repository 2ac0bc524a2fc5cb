"""A token is verified once and believed for a minute: what its time and the control data say counts with every call (K1)."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from visionality.core.spend_token import BadToken, Bound, Claims, TrustedKey, by_kid, sign
from visionality.gateway.principal import Principal
from visionality.gateway.tokens import BELIEVED, Tokens
from visionality.registry.snapshot import Grant, Organisation, Snapshot
from visionality.runtime.clock import utc_now

NOW = utc_now().replace(microsecond=0)
LATER = NOW + timedelta(seconds=BELIEVED / 2)
ORG, KEY, TOKEN = uuid4(), uuid4(), uuid4()
SIGNER = Ed25519PrivateKey.generate()
PUBLIC = SIGNER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
DERIVED = Claims(
    v=2,
    jti=str(TOKEN),
    iss="vis:i",
    aud="vis:i",
    org=str(ORG),
    agt="agent",
    iat=0,
    nbf=0,
    exp=int(NOW.timestamp()) + 10**6,
    scp=("call",),
    bnd=Bound(0),
    gen=0,
    sgen=0,
    pol=0,
    mdl=("gpt-*",),
    par=str(KEY),
)


def _empty(kind: type) -> dict:
    return dict.fromkeys(kind.__dataclass_fields__)


GRANT = Grant(
    **_empty(Grant)
    | {"org_id": ORG, "key_id": KEY, "expires_at": NOW + timedelta(days=90), "level": 0, "rotation": 0}
    | {"person_epoch_now": 0, "models": (), "providers": (), "networks": (), "callers": ()}
)
ORGANISATION = Organisation(
    **_empty(Organisation) | {"org_id": ORG, "epoch": 0, "projects": {}, "revoked_tokens": frozenset()}
)
TRUSTED = by_kid([TrustedKey(str(ORG), PUBLIC, NOW - timedelta(1), NOW + timedelta(1))])
SNAPSHOT = Snapshot({ORG: ORGANISATION}, {}, {KEY: GRANT}, TRUSTED)


@pytest.fixture
def tokens() -> Tokens:
    tokens = Tokens()
    tokens.aud = "vis:i"
    return tokens


def whose(tokens: Tokens, claims: Claims = DERIVED, snapshot: Snapshot = SNAPSHOT, at=NOW) -> Principal:
    text = sign(SIGNER, claims)
    return tokens.principal(snapshot, text, text.encode(), at, (at - NOW).total_seconds())


def test_a_token_is_somebodys_with_every_call_alike(tokens):
    first = whose(tokens)
    assert (first.grant.key_id, first.grant.models, first.ended) == (KEY, ("gpt-*",), None)
    assert whose(tokens, at=LATER) == first


def test_a_remembered_token_begins_and_ends_at_its_time(tokens):
    short = msgspec.structs.replace(DERIVED, nbf=int(NOW.timestamp()) + 5, exp=int(NOW.timestamp()) + 10)
    ends = [whose(tokens, short, at=NOW + timedelta(seconds=seconds)).ended for seconds in (4, 5, 9, 10)]
    assert ends == ["not_yet_valid", None, None, "expired"]


def test_what_a_remembered_token_is_narrowed_to_follows_the_control_data(tokens):
    assert whose(tokens).grant.memo is None
    moved = replace(SNAPSHOT, grants_by_id={KEY: replace(GRANT, memo="Q3")})
    assert whose(tokens, snapshot=moved).grant.memo == "Q3"


@pytest.mark.parametrize(
    "changes",
    [{"epoch": 1}, {"revoked_tokens": frozenset({TOKEN})}],
    ids=["its organisation moved on", "it was revoked"],
)
def test_a_remembered_token_is_over_when_the_control_data_says_so(tokens, changes):
    assert whose(tokens).ended is None
    moved = replace(SNAPSHOT, organisations={ORG: replace(ORGANISATION, **changes)})
    assert whose(tokens, snapshot=moved).ended == "revoked"


@pytest.mark.parametrize("gone", [{"trusted": {}}, {"grants_by_id": {}}], ids=["signing key", "grant"])
def test_a_remembered_token_is_nobodys_without_its_signing_key_or_its_grant(tokens, gone):
    assert whose(tokens).ended is None
    with pytest.raises(BadToken):
        whose(tokens, snapshot=replace(SNAPSHOT, **gone))
