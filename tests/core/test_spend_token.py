"""The signed envelope: what is bound is what comes out, and nothing else is a token (promises K1, K3)."""

import json
import random
import string
import zlib
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.handle import base62
from visionality.core.spend_token import (
    LONGEST_PAYLOAD,
    Allowance,
    BadToken,
    Bound,
    Claims,
    TrustedKey,
    by_kid,
    check_times,
    display,
    kid_of,
    sign,
    taken_apart,
    verified,
)

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ORG = "0193a1b2-0000-7000-8000-000000000001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
DOMAIN = b"visionality spend token v2\0"


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def trust(key: Ed25519PrivateKey, org: str = ORG, since: timedelta = timedelta(days=1)) -> TrustedKey:
    return TrustedKey(org, public(key), NOW - since, NOW + timedelta(days=1))


TRUSTED = by_kid([trust(KEY)])


def claims(**fields: object) -> Claims:
    at = int(NOW.timestamp())
    full: dict = {
        "v": 2,
        "jti": "0193a1b2-0000-7000-8000-00000000000a",
        "iss": "vis:i",
        "aud": "vis:i",
        "org": ORG,
        "agt": "alice@arctrade",
        "iat": at,
        "nbf": at,
        "exp": at + 300,
        "scp": ("call",),
        "bnd": Bound(3, "0193", "ab" * 32, ("svc:checkout",)),
        "gen": 1,
        "sgen": 1,
        "pol": 7,
    }
    return Claims(**(full | fields))


EVERYTHING = claims(
    sub="https://sso.example|00u-alice",
    prj="HPC",
    cus="client_drpatel",
    tsk="HPC-1234",
    tcl="chat",
    memo='PJM "rebill" \\ März',
    url="https://jira.example/HPC-1234",
    bud=Allowance("USD", "1.25", "total", (60,)),
    mdl=("gpt-4o*", "claude-*"),
    prv=("openai", "anthropic"),
    net=("10.0.0.0/8",),
    par="0193a1b2-0000-7000-8000-00000000000b",
    rep="bitbucket.org/arctrade/hpc-billing",
    brn="HPC-1234-add-pjm-rebill-rules",
    cmt="8f1c2d3e4b5a69788f1c2d3e4b5a69788f1c2d3e",
    rot=2,
)
TOKEN = sign(KEY, EVERYTHING)


def opened(text: str, trusted=TRUSTED, now: datetime = NOW) -> Claims:
    found = verified(taken_apart(text), trusted, now)
    check_times(found, now)
    return found


def fault(text: str, trusted=TRUSTED, now: datetime = NOW) -> str:
    with pytest.raises(BadToken) as caught:
        opened(text, trusted, now)
    return caught.value.fault


def of_payload(
    payload: bytes, key: Ed25519PrivateKey = KEY, head: bytes = b"\x02\x01", kid: bytes = b""
) -> str:
    """A token around any bytes, well signed."""
    signed = head + (kid or kid_of(public(key))) + len(payload).to_bytes(2, "big") + payload
    body = urlsafe_b64encode(signed + key.sign(DOMAIN + signed)).rstrip(b"=").decode()
    return with_crc(f"vis2_live_{body}")


def with_crc(whole: str) -> str:
    return f"{whole}_{base62(zlib.crc32(whole.encode()), 6)}"


def test_everything_that_was_bound_comes_out_again():
    assert opened(TOKEN) == EVERYTHING


def test_the_claims_are_written_as_rfc_8785_wants_them():
    payload = taken_apart(TOKEN).payload
    assert payload == rfc8785.dumps(json.loads(payload))


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=60))
def test_any_text_in_a_claim_survives(text):
    assert opened(sign(KEY, claims(memo=text))).memo == text


def test_every_flip_of_a_character_is_refused():
    alphabet = string.ascii_letters + string.digits + "-_"
    for at in range(len(TOKEN)):
        for other in (alphabet[(alphabet.find(TOKEN[at]) + 1) % 64], TOKEN[at].swapcase()):
            if other != TOKEN[at]:
                assert fault(TOKEN[:at] + other + TOKEN[at + 1 :]) in {"malformed", "invalid"}


def test_every_flip_of_a_byte_under_a_right_checksum_is_refused():
    parts = taken_apart(TOKEN)
    body = parts.signed + parts.signature
    for at in range(len(body)):
        flipped = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        text = with_crc("vis2_live_" + urlsafe_b64encode(flipped).rstrip(b"=").decode())
        assert fault(text) in {"malformed", "invalid"}


def test_parts_of_two_valid_tokens_do_not_make_a_third():
    other = taken_apart(sign(KEY, claims(prj="SOCE")))
    mine = taken_apart(TOKEN)
    for signed, signature in ((mine.signed, other.signature), (other.signed, mine.signature)):
        body = urlsafe_b64encode(signed + signature).rstrip(b"=").decode()
        assert fault(with_crc(f"vis2_live_{body}")) == "invalid"


@pytest.mark.parametrize(
    "text",
    [
        TOKEN + "=",
        TOKEN + "\0",
        TOKEN + " ",
        " " + TOKEN,
        TOKEN.replace("vis2_live_", "vis2_prod_"),
        TOKEN.replace("vis2_", "visk_"),
        TOKEN[:-6] + TOKEN[-6:].swapcase(),
        TOKEN[:-1],
        "vis2_live_",
        "vis2_live__",
        "vis2_live_" + "A" * 5000 + "_000000",
        "vis2_live_é_000000",
        "",
    ],
)
def test_other_spellings_are_no_tokens(text):
    assert fault(text) == "malformed"


def test_a_second_spelling_of_the_same_bytes_is_no_token():
    whole = TOKEN.rpartition("_")[0]
    spare = {"A": "B", "Q": "R", "g": "h", "w": "x"}  # the last sextet has bits that no byte needs
    tokens = (sign(KEY, claims(memo="x" * n)) for n in range(1, 9))
    tried = 0
    for whole in (token.rpartition("_")[0] for token in tokens):
        if whole[-1] in spare:
            tried += 1
            assert fault(with_crc(whole[:-1] + spare[whole[-1]])) == "malformed"
    assert tried


@pytest.mark.parametrize("head", [b"\x01\x01", b"\x03\x01", b"\x02\x00", b"\x02\x02", b"\x00\x00"])
def test_another_version_or_algorithm_is_no_token(head):
    assert fault(of_payload(taken_apart(TOKEN).payload, head=head)) == "malformed"


@pytest.mark.parametrize(
    "foreign",
    [
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
        "v4.public.eyJzdWIiOiJhIn0",
    ],
)
def test_tokens_of_other_kinds_are_none_of_ours(foreign):
    assert fault(foreign) == "malformed"


def test_only_a_trusted_key_of_the_same_organisation_signs():
    assert fault(of_payload(taken_apart(TOKEN).payload, OTHER)) == "invalid"
    assert fault(of_payload(taken_apart(TOKEN).payload, OTHER, kid=kid_of(public(KEY)))) == "invalid"
    elsewhere = by_kid([trust(KEY, org="0193a1b2-0000-7000-8000-0000000000ff")])
    assert fault(TOKEN, elsewhere) == "invalid"


def test_two_keys_may_share_a_kid():
    collision = {kid_of(public(KEY)): [trust(OTHER), trust(KEY)]}
    assert opened(TOKEN, collision) == EVERYTHING


def test_a_key_is_trusted_between_its_moments_only():
    late = by_kid([TrustedKey(ORG, public(KEY), NOW + timedelta(seconds=1), NOW + timedelta(days=1))])
    over = by_kid([TrustedKey(ORG, public(KEY), NOW - timedelta(days=1), NOW)])
    assert fault(TOKEN, late) == fault(TOKEN, over) == "invalid"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"v":2,"v":2}',
        b'{"v":NaN}',
        b'{"v":1e999}',
        b'{"v":' + b"9" * 2000 + b"}",
        b"[" * 2000,
        b'{"a":' * 400,
        b'{ "v":2}',
        b"",
        b"null",
        b"\xff\xfe",
        b'{"v":2}',
        b'{"v":3}',
        b'{"v":"\\ud800"}',
    ],
)
def test_claims_that_are_none_are_refused_though_well_signed(payload):
    assert fault(of_payload(payload)) == "invalid"


def test_claims_in_another_order_or_with_a_float_are_refused_though_well_signed():
    document = json.loads(taken_apart(TOKEN).payload)
    shuffled = json.dumps(dict(reversed(document.items())), separators=(",", ":")).encode()
    assert fault(of_payload(shuffled)) == "invalid"
    assert fault(of_payload(rfc8785.dumps(document | {"exp": document["exp"] + 0.5}))) == "invalid"


def test_an_unknown_claim_is_passed_over_unless_it_is_critical():
    document = json.loads(taken_apart(TOKEN).payload)
    assert opened(of_payload(rfc8785.dumps(document | {"zzz": 1}))) == EVERYTHING
    assert fault(of_payload(rfc8785.dumps(document | {"zzz": 1, "crit": ["zzz"]}))) == "invalid"


def test_times_are_kept_to_the_second():
    at = int(NOW.timestamp())
    token = sign(KEY, claims(nbf=at, exp=at + 10))
    assert fault(token, now=NOW - timedelta(microseconds=1)) == "not_yet_valid"
    assert opened(token, now=NOW)
    assert opened(token, now=NOW + timedelta(seconds=10, microseconds=-1))
    assert fault(token, now=NOW + timedelta(seconds=10)) == "expired"
    assert fault(sign(KEY, claims(iat=at + 20, exp=at + 10))) == "invalid"


def test_claims_that_are_too_long_are_not_signed():
    with pytest.raises(ValueError, match=str(LONGEST_PAYLOAD)):
        sign(KEY, claims(memo="x" * LONGEST_PAYLOAD))


def test_what_is_shown_of_a_token_is_its_kind_and_its_id():
    assert display(TOKEN, EVERYTHING.jti) == f"vis2_live_…{EVERYTHING.jti}"


def test_nothing_but_a_bad_token_comes_of_a_hundred_thousand_mutations():
    """The long run of the red team tries a million."""
    random_ = random.Random(5)
    alphabet = string.printable + "é\0"
    for _ in range(100_000):
        text = (
            TOKEN[random_.randrange(60) : len(TOKEN) - random_.randrange(60)]
            if random_.random() < 0.3
            else TOKEN
        )
        for _ in range(random_.randrange(1, 5)):
            at = random_.randrange(len(text) + 1)
            text = text[:at] + random_.choice(alphabet) + text[at + random_.randrange(2) :]
        if text != TOKEN:
            with pytest.raises(BadToken):
                taken_apart(text)
