"""Promise K4: a proof is the same whoever makes it. What the helper makes is what core/binding.py makes, byte by byte."""

import hashlib
import hmac
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.gateway import Seen
from clients.vectors import AUD, CALLER, FILE, KEY, KEY_ID, exported, rendered, vectors
from visionality_client import BindingKey, CannotSign, Signer

CASES = {vector["name"]: vector for vector in vectors()}
TOKEN = {"Authorization": "Bearer visk_live_x"}


def test_the_vectors_are_what_the_core_gives():
    assert FILE.read_text() == rendered(), "PYTHONPATH=tests python -m clients.vectors writes the file again"
    assert len(CASES) == len(vectors())


def signed(vector: dict[str, Any]) -> dict[str, str]:
    signer = Signer(
        BindingKey.from_export(vector["binding_key"]),
        vector["caller"],
        vector["base_path"],
        lambda: float(vector["at"]) + 0.99,
        lambda size: b64decode(vector["nonce"])[:size],
    )
    return signer.headers(vector["method"], vector["target"], vector["headers"], b64decode(vector["body"]))


@pytest.mark.parametrize("name", CASES)
def test_the_helper_signs_as_the_vectors_say(name):
    made = signed(CASES[name])
    assert made == {
        "X-Acc-Caller": CASES[name]["x_acc_caller"],
        "X-Acc-Binding": CASES[name]["x_acc_binding"],
    }


def test_the_first_vector_is_what_the_formats_definition_gives_by_hand():
    vector = CASES["a chat completion"]
    key_id, at, nonce, mac = [part[2:] for part in vector["x_acc_binding"].split(";")[1:]]
    fields = [
        b"b1", key_id.encode(), at.encode(), nonce.encode(), b"POST", AUD.encode(), b"/v1/chat/completions",
        b"application/json", b"", b"svc:checkout-api", hashlib.sha256(b64decode(vector["body"])).digest(),
        hashlib.sha256(vector["headers"]["Authorization"].removeprefix("Bearer ").encode()).digest(),
    ]  # fmt: skip
    text = b"ACC2-HMAC-SHA256\x00" + b"".join(len(f).to_bytes(4, "big") + f for f in fields)
    assert hmac.new(KEY, text, "sha256").digest() == b64decode(mac + "=", altchars=b"-_")


_visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
_requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        "target": st.text(_visible, max_size=60).map(lambda text: "/" + text.replace("?", "", 1)),
        "headers": st.fixed_dictionaries(
            {"x-api-key": st.text(_visible, min_size=1, max_size=60)},
            optional={
                "content-type": st.text(_visible, max_size=20),
                "content-encoding": st.text(_visible, max_size=9),
            },
        ),
        "body": st.binary(max_size=200),
    }
)


@given(_requests, st.text(_visible, min_size=1, max_size=128))
def test_whatever_the_helper_signs_the_core_believes_and_no_other_request(request, caller):
    target = request["target"].removesuffix("?") if request["target"].count("?") == 1 else request["target"]
    made = Signer(BindingKey(KEY_ID, KEY, AUD), caller).headers(**request)
    sent = request["headers"] | {name.lower(): value for name, value in made.items()}
    assert Seen(request["method"], target, sent, request["body"]).proven
    assert not Seen("PATCH", target, sent, request["body"]).proven
    assert not Seen(request["method"], target + "/", sent, request["body"]).proven
    assert not Seen(request["method"], target, sent, request["body"] + b" ").proven
    for name in ("x-api-key", "content-type", "content-encoding", "x-acc-caller"):
        changed = sent | {name: sent.get(name, "") + "x"}
        assert not Seen(request["method"], target, changed, request["body"]).proven, name


def test_each_attempt_has_a_nonce_of_its_own(signer):
    made = {
        signer.headers("GET", "/v1/models", TOKEN, b"")["X-Acc-Binding"].split(";")[3] for _ in range(1000)
    }
    assert len(made) == 1000


@pytest.mark.parametrize(
    ("headers", "came"),
    [
        ({}, "none came"),
        ({"Authorization": "Basic dTpw"}, "none came"),
        ({"x-api-key": ""}, "none came"),
        ({"x-api-key": "visk_live_a", "Authorization": "Bearer visk_live_b"}, "two different ones came"),
    ],
)
def test_a_request_without_one_credential_is_not_signed(signer, headers, came):
    with pytest.raises(CannotSign, match=came) as refused:
        signer.headers("POST", "/v1/messages", headers, b"")
    assert "visk_live" not in str(refused.value)


def test_the_same_credential_twice_is_one(signer):
    twice = {"x-api-key": "visk_live_a", "Authorization": "Bearer visk_live_a"}
    assert signer.headers("POST", "/v1/messages", twice, b"")


def test_a_header_is_covered_as_the_gateway_reads_it():
    at = Signer(BindingKey(KEY_ID, KEY, AUD), CALLER, "", lambda: 0, bytes)
    spaced = TOKEN | {"content-type": b" text/plain\t"}
    assert at.headers("POST", "/a", spaced, b"") == at.headers(
        "POST", "/a", TOKEN | {"content-type": "text/plain"}, b""
    )


@pytest.mark.parametrize("target", ["/v1/messages", "/ai", "/ai?a=/ai/v1", "/aim/v1", "*"])
def test_what_is_not_below_the_gateways_path_is_not_signed(target):
    signer = Signer(BindingKey(KEY_ID, KEY, AUD), CALLER, "/ai/")
    with pytest.raises(CannotSign, match="this signer is for paths below /ai/"):
        signer.headers("POST", target, TOKEN, b"")


@pytest.mark.parametrize("caller", ["", "two words", "ü", "x" * 129, "a\n"])
def test_a_caller_that_no_header_can_carry_is_refused_at_once(caller):
    with pytest.raises(ValueError, match="1 to 128 visible ASCII"):
        Signer(BindingKey(KEY_ID, KEY, AUD), caller)


GOOD = {"key_id": KEY_ID, "key": exported(KEY), "aud": AUD}
MISTYPED = GOOD["key"][:20] + ("A" if GOOD["key"][20] != "A" else "B") + GOOD["key"][21:]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("{", "expected JSON with key_id"),
        ([], "expected an object"),
        (GOOD | {"key": None}, "expected an object"),
        (GOOD | {"key": MISTYPED}, "its checksum is not that of the rest"),
        (GOOD | {"key": exported(KEY)[:-1]}, "expected visb_live_"),
        (GOOD | {"key": exported(KEY) + "\n"}, "expected visb_live_"),
        (GOOD | {"key": "visk" + exported(KEY)[4:]}, "expected visb_live_"),
        (GOOD | {"key_id": "k;t=0"}, "1 to 64 letters"),
        (GOOD | {"aud": ""}, "the installation's id"),
        ({"key_id": KEY_ID, "key": exported(KEY)}, "expected an object with key_id, key and aud"),
    ],
)
def test_a_binding_key_that_is_none_is_refused_in_words_that_do_not_repeat_it(bad, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        BindingKey.from_export(bad)
    assert MISTYPED[12:30] not in str(refused.value)
    assert exported(KEY)[10:30] not in str(refused.value)


def test_a_binding_key_does_not_show_itself():
    key = BindingKey.from_export(GOOD)
    assert key == BindingKey(KEY_ID, KEY, AUD)
    assert repr(key) == f"BindingKey(key_id={KEY_ID!r}, aud={AUD!r})"
