"""Attacks 1 to 6 and 13: tokens that are not what was signed (promises K1, K5). Deeper: tests/core/test_spend_token.py."""

import json
import random
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attacks.attacker import (
    around,
    claims_of,
    counted,
    knocking,
    public_of,
    rows,
    saying,
    signed_by,
    trust,
    with_crc,
)
from attacks.catalogue import TOKENS
from gateway.budgets import Watch, gateways
from visionality.core.call import Refusal
from visionality.core.handle import from_entropy
from visionality.core.spend_token import (
    BadToken,
    TrustedKey,
    by_kid,
    kid_of,
    sign,
    taken_apart,
    verified,
)
from visionality.gateway.authenticate import presented

MALFORMED, INVALID = (401, "spend_token_malformed"), (401, "spend_token_invalid")


@pytest.fixture(scope="module")
def token(bearer) -> str:
    return bearer["envelope"]


@pytest.fixture(scope="module")
def rogue(product, token) -> Ed25519PrivateKey:
    key = trust(product)
    with knocking(product.gateway) as door:
        product.until(lambda: door.knock(saying(key, token))[0] == 200)
    return key


@pytest.mark.attack(1)
def test_a_token_that_was_changed_anywhere_is_refused_and_only_counted(product, token, bound, seen):
    parts, other = taken_apart(token), taken_apart(bound["envelope"])
    body = parts.signed + parts.signature
    changed = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]
    changed += [around(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]) for at in range(len(body))]
    head, mine, others = body[:8], parts.payload, other.signed[8:]
    swapped = [
        head + mine + other.signature,
        other.signed + parts.signature,
        other.signed[:8] + mine + parts.signature,
        head + others + parts.signature,
    ]
    changed += [around(one) for one in swapped]
    before, strangers = rows(product), counted(product)
    with knocking(product.gateway) as door:
        answers = Counter(door.knock(one) for one in changed)
        assert door.knock(token)[0] == 200
    assert set(answers) == {MALFORMED, INVALID}
    assert rows(product) == before + 1
    product.until(lambda: counted(product) >= strangers + len(changed))
    seen(f"{len(changed)} changed tokens: {dict(sorted((c, n) for (_, c), n in answers.items()))}, no row")


@pytest.mark.attack(2)
def test_tokens_of_another_kind_are_none_of_ours(product, token, rogue, seen):
    payload = taken_apart(token).payload
    jwt = [{"alg": "none"}, {"alg": "HS256", "kid": kid_of(public_of(rogue)).hex()}]
    spelled = [urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in jwt]
    middle = urlsafe_b64encode(payload).rstrip(b"=").decode()
    foreign = [f"{spelled[0]}.{middle}.", f"{spelled[1]}.{middle}.{'A' * 43}", f"v4.public.{middle}"]
    foreign += [f"vis2_live_{spelled[0]}.{middle}._000000", with_crc(f"vis2_live_{spelled[0]}")]
    heads = [bytes((version, alg)) for version in (0, 1, 2, 3, 255) for alg in (0, 1, 2, 255)]
    foreign += [signed_by(rogue, payload, head=head) for head in heads if head != b"\x02\x01"]
    with knocking(product.gateway) as door:
        for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key"):
            assert {door.knock(one, name=name) for one in foreign} == {MALFORMED}
    seen(f"{len(foreign)} tokens in 4 headers: all 401 malformed")


@pytest.mark.attack(3)
def test_a_kid_says_where_to_look_and_never_whom_to_trust(product, token, rogue, seen):
    payload, stranger = taken_apart(token).payload, Ed25519PrivateKey.generate()
    tried = [signed_by(stranger, payload), signed_by(stranger, payload, kid=kid_of(public_of(rogue)))]
    tried += [signed_by(rogue, payload, kid=bytes(4)), signed_by(rogue, payload, kid=b"\xff" * 4)]
    with knocking(product.gateway) as door:
        assert {door.knock(one) for one in tried} == {INVALID}
        url = rfc8785.dumps(claims_of(token) | {"jku": f"{product.sandbox}/keys", "kid": "../../x"})
        assert door.knock(signed_by(stranger, url)) == INVALID
    seen("401 invalid: unknown, colliding and wrong kids, an address to fetch keys from")


@pytest.mark.attack(4)
def test_a_token_has_one_spelling(product, token, rogue, seen):
    crc = token[-6:]
    spellings = [token + "=", token + "==", token + "\0", token + "_", token[:40] + "\t" + token[40:]]
    spellings += [token[:-6] + crc.swapcase()] if crc != crc.swapcase() else []
    spellings += [with_crc(token[:-7] + "="), with_crc(token[:60] + " " + token[60:-7])]
    spellings += [token[:-6] + crc[::-1]] if crc != crc[::-1] else []
    spellings += [
        with_crc(token[:-7].replace("vis2_live_", prefix)) for prefix in ("vis2_LIVE_", "VIS2_live_")
    ]
    spare = {"A": "B", "Q": "R", "g": "h", "w": "x"}  # the last sextet has bits that no byte needs
    tokens = (saying(rogue, token, memo="x" * n) for n in range(1, 9))
    spellings += [with_crc(one[:-8] + spare[one[-8]]) for one in tokens if one[-8] in spare]
    assert len({len(one) for one in spellings}) > 3
    with knocking(product.gateway) as door:
        answers = {one: door.knock(one) for one in spellings}
    assert {status for status, _ in answers.values()} <= {400, 401}
    seen(f"{len(spellings)} spellings refused")


CLAIMS = {
    "names twice": b'{"v":2,"v":2}',
    "NaN": b'{"v":NaN}',
    "1e999": b'{"v":1e999}',
    "2,000 digits": b'{"v":' + b"9" * 2000 + b"}",
    "a float": b'{"v":2.0}',
    "2,000 levels": b"[" * 2000,
    "closed levels": b"[" * 1000 + b"]" * 1000,
    "objects in objects": b'{"a":' * 400,
    "no JSON": b"\xff\xfe",
    "lone surrogate": b'{"v":"\\ud800"}',
    "nothing": b"",
}


@pytest.mark.attack(5)
def test_claims_that_are_none_are_refused_though_rightly_signed(product, token, rogue, seen):
    text = taken_apart(token).payload
    twice = text[:-1] + b',"zzz":1,"zzz":1}'
    wrong = [*CLAIMS.values(), twice, text + b" ", b" " + text, text + b"{}"]
    wrong += [
        rfc8785.dumps(claims_of(token) | change)
        for change in (
            {"exp": "tomorrow"},
            {"exp": 2**53 - 1, "nbf": -(2**53) + 1, "iat": 2**53 - 1, "v": 3},
            {"scp": "call"},
            {"bnd": None},
            {"bnd": {"lvl": 0, "more": 1}},
            {"jti": "'; drop table vis.request_logs --"},
            {"jti": "\u0000"},
            {"org": ""},
            {"crit": ["zzz"]},
            {"bud": {"cur": "EUR", "max": "1", "win": "total"}},
        )
    ]
    with knocking(product.gateway) as door:
        assert {door.knock(signed_by(rogue, one)) for one in wrong} == {INVALID}
        huge = {"exp": 2**53 - 1}
        assert door.knock(saying(rogue, token, **huge))[0] in {200, 401}
    seen(f"{len(wrong)} payloads: all 401 invalid")


@pytest.mark.attack(5)
def test_no_number_of_times_makes_a_token_an_error(product, token, rogue, seen):
    odd = [0, 1, -1, 2**31, 2**32, 2**53 - 1, -(2**53) + 1, 10**15, 253402300800]
    with knocking(product.gateway) as door:
        answers = {
            (name, at): door.knock(saying(rogue, token, **{name: at}))
            for name in ("exp", "nbf", "iat", "gen", "sgen", "pol", "rot")
            for at in odd
        }
    assert {status for status, _ in answers.values()} <= {200, 401}, answers
    seen(f"{len(answers)} odd times: never 500")


@pytest.mark.attack(5)
def test_nothing_but_a_refusal_comes_of_random_and_mutated_tokens(token, rogue, seen):
    """Through what the gateway asks of every credential, with a key that is trusted, in this process."""
    chance = random.Random(20261122)
    trusted = by_kid([TrustedKey(claims_of(token)["org"], public_of(rogue), _AGES_AGO, _IN_AGES)])
    good = saying(rogue, token)
    makers = (_cut, _edited, _resigned, _noise)
    came: Counter[str] = Counter()
    for number in range(TOKENS):
        text = makers[number % 4](chance, good, rogue)
        try:
            key = presented(((b"authorization", b"Bearer " + text.encode("latin-1", "replace")),))
            verified(taken_apart(key), trusted, _NOW)
        except BadToken as bad:
            came[bad.fault] += 1
        except Refusal as refusal:
            came[refusal.code] += 1
        else:
            came["good"] += 1
            assert taken_apart(key).signed == taken_apart(good).signed or makers[number % 4] is _resigned
    assert set(came) <= {"malformed", "invalid", "good", "spend_token_missing"}
    assert came["malformed"] > TOKENS / 3
    assert came["invalid"] > TOKENS / 20
    seen(f"{TOKENS:,} tokens: {dict(sorted(came.items()))}, no other exception")


_NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_AGES_AGO, _IN_AGES = _NOW - timedelta(days=999), _NOW + timedelta(days=999)
_ANY = string.printable + "é\0ÿ"


def _cut(chance: random.Random, good: str, _: Ed25519PrivateKey) -> str:
    return good[chance.randrange(60) : len(good) - chance.randrange(300)]


def _edited(chance: random.Random, good: str, _: Ed25519PrivateKey) -> str:
    text = good
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(_ANY) + text[at + chance.randrange(2) :]
    return text


def _resigned(chance: random.Random, good: str, key: Ed25519PrivateKey) -> str:
    """Other bytes under a right checksum; some of them are rightly signed too."""
    parts = taken_apart(good)
    payload = bytearray(parts.payload)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(payload))
        payload[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    if chance.random() < 0.5:
        return signed_by(key, bytes(payload))
    return around(parts.signed[:6] + len(payload).to_bytes(2, "big") + bytes(payload) + parts.signature)


def _noise(chance: random.Random, _: str, __: Ed25519PrivateKey) -> str:
    noise = chance.randbytes(chance.randrange(400))
    kind = chance.randrange(4)
    if kind == 0:
        return around(noise)
    if kind == 1:
        return around(b"\x02\x01" + noise)
    if kind == 2:
        return from_entropy(noise.ljust(32, b"\0")[:32])
    return noise.decode("latin-1")


@pytest.mark.attack(6)
def test_a_token_is_good_between_its_seconds_and_at_no_other(product, token, rogue, tmp_path, seen):
    begins = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())
    watch = Watch(tmp_path / "watch")

    def after(seconds: float) -> datetime:
        return datetime.fromtimestamp(begins + seconds, UTC)

    watch.show(after(0))
    product.query(
        "update vis_control.signing_key set active_from = %s where public = %s returning 1",
        after(-86400),
        public_of(rogue),
    )
    timed = saying(rogue, token, iat=begins, nbf=begins, exp=begins + 600)
    backwards = saying(rogue, token, iat=begins + 900, nbf=begins, exp=begins + 600)
    moments = {
        -600: "not_yet_valid",
        -1e-6: "not_yet_valid",
        0: "",
        600 - 1e-6: "",
        600: "expired",
        1200: "expired",
    }
    with gateways(product, 1, watch) as (other,), knocking(other.address) as door:
        product.until(lambda: door.knock(timed)[0] == 200)
        for seconds, fault in moments.items():
            watch.show(after(seconds))
            assert door.knock(timed) == ((401, f"spend_token_{fault}") if fault else (200, "")), seconds
        watch.show(after(1))
        assert door.knock(backwards) == INVALID
    seen("not_yet_valid to the microsecond before, good, expired in the second of exp; iat after exp invalid")


@pytest.mark.attack(6)
def test_a_good_token_is_what_its_issuer_signs(token, rogue):
    """So that the refusals above are for the change and for nothing else."""
    assert (
        sign(rogue, verified(taken_apart(token_ := saying(rogue, token)), _trusting(rogue, token), _NOW))
        == token_
    )


def _trusting(key: Ed25519PrivateKey, token: str) -> dict:
    return by_kid([TrustedKey(claims_of(token)["org"], public_of(key), _AGES_AGO, _IN_AGES)])


assert urlsafe_b64decode("QQ==") == urlsafe_b64decode("QR==")  # why attack 4 is one
