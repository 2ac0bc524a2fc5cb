"""A signed figure is a pack of one figure: in one spelling, checked by its key alone, taken for nothing else (F6)."""

import json
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from visionality.core import dsse
from visionality.core.key_document import spelled
from visionality.core.period import Period
from visionality.core.signed_figure import LONGEST, BadFigure, Organisation, Statement, payload, read, sign

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SAID = Statement(
    id="01991d3a-0000-7000-8000-000000000000",
    installation="01991d3a-0000-7000-8000-00000000000f",
    organisation=Organisation("01991d3a-0000-7000-8000-000000000001", "ArcTrade", "arctrade"),
    period=Period(date(2026, 11, 1), date(2026, 11, 30)),
    scope={"project": "HPC", "person": "zo\u00eb\u2028<&>\x7f"},
    currency="USD",
    cost_usd="4237.18",
    billed_usd="4237.18",
    calls=12_345,
    signed_at=datetime(2026, 12, 1, 8, tzinfo=UTC),
    signed_by="operator",
    live_until=datetime(2027, 3, 1, 8, tzinfo=UTC),
    checkpoint="x/y/request_logs\n1\n\n\u2014 x/y/request_logs AAAA\n",
)


def test_what_was_signed_is_read_back_and_is_by_its_key() -> None:
    signed = read(sign(SAID, KEY))
    assert signed.statement == SAID
    assert signed.is_by(PUBLIC)
    assert not signed.is_by(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


def test_the_payload_is_the_statement_of_the_formats_page_in_jcs() -> None:
    content = payload(SAID)
    document = json.loads(content)
    assert content == rfc8785.dumps(document)
    predicate = document["predicate"]
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "urn:visionality:figure:v1"
    assert document["subject"] == [
        {"digest": {"sha256": sha256(rfc8785.dumps(predicate)).hexdigest()}, "name": f"figure/{SAID.id}"}
    ]
    assert predicate["period"] == {
        "ends_at": "2026-12-01T00:00:00.000000Z",
        "from": "2026-11-01",
        "starts_at": "2026-11-01T00:00:00.000000Z",
        "to": "2026-11-30",
    }
    assert set(predicate) == {
        *("v", "id", "installation", "org", "period", "scope", "currency", "cost", "billed", "rows"),
        *("signed_at", "signed_by", "live_until", "checkpoint"),
    }


def test_the_file_is_the_envelope_of_what_the_link_carries() -> None:
    signed = read(sign(SAID, KEY))
    assert signed.as_file(PUBLIC) == dsse.envelope(payload(SAID), KEY)
    envelope = json.loads(signed.as_file(PUBLIC))
    assert b64decode(envelope["payload"]) == signed.content
    assert envelope["signatures"][0]["keyid"] == sha256(PUBLIC).hexdigest()


def test_a_signature_over_the_bare_statement_or_under_other_words_is_none() -> None:
    content = payload(SAID)
    for covered in (content, b"visionality figure v1\0" + content, dsse.pae(content, "application/json")):
        assert not read(f"{spelled(content)}.{spelled(KEY.sign(covered))}").is_by(PUBLIC)


@given(st.data())
def test_no_other_text_is_by_the_key(data: st.DataObject) -> None:
    text = sign(SAID, KEY)
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(codec="ascii").filter(lambda one: one != text[place]))
    changed = text[:place] + character + text[place + 1 :]
    try:
        assert not read(changed).is_by(PUBLIC)
    except BadFigure:
        return


@given(
    st.text(max_size=200) | st.binary(max_size=200).map(lambda some: f"{spelled(some)}.{spelled(bytes(64))}")
)
def test_what_is_no_figure_is_refused(text: str) -> None:
    with pytest.raises(BadFigure):
        read(text)


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b'{"_type"', b' {"_type"'),
        (b'"rows":12345', b'"rows":12345,"more":1'),
        (b'"rows":12345', b'"rows":12345.0'),
        (b"ArcTrade", b"Arc\\u0054rade"),
        (b'"v":1', b'"v":2'),
        (b"08:00:00.000000Z", b"08:00:00Z"),
        (b"08:00:00.000000Z", b"08:00:00.000000+00:00"),
        (b'"to":"2026-11-30"', b'"to":"9999-12-31"'),
        (b'"from":"2026-11-01"', b'"from":"2026-11-02"'),
        (b"urn:visionality:figure:v1", b"urn:visionality:evidence-pack:v1"),
        (b'"slug":"arctrade"', b'"slug":7'),
        (b'"name":"ArcTrade",', b""),
        (b'"cost":"4237.18"', b'"cost":"4237.19"'),
    ],
)
def test_another_spelling_is_refused_though_the_key_signed_it(said: bytes, instead: bytes) -> None:
    content = payload(SAID).replace(said, instead)
    assert content != payload(SAID)
    with pytest.raises(BadFigure):
        read(f"{spelled(content)}.{spelled(KEY.sign(dsse.pae(content)))}")


def test_names_too_long_for_a_link_are_not_signed() -> None:
    with pytest.raises(BadFigure, match="too long"):
        sign(replace(SAID, scope={"project": "x" * LONGEST}), KEY)
