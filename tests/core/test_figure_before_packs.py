"""A figure of the form before packs is read in its one spelling, checked by its key alone, and never signed anew (F6)."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from visionality.core.figure_before_packs import DOMAIN
from visionality.core.key_document import spelled
from visionality.core.signed_figure import BadFigure, payload, read, sign

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
CONTENT = (
    b'{"billed_usd":"4237.18","calls":12345,"cost_usd":"4237.18","currency":"USD","from":"2026-11-01",'
    b'"id":"01991d3a-0000-7000-8000-000000000000","iss":"vis:test","kid":"00112233","live_until":"2027-03-01T08:00:00Z",'
    b'"org":"01991d3a-0000-7000-8000-000000000001","org_name":"ArcTrade","scope":{"project":"HPC"},'
    b'"signed_at":"2026-12-01T08:00:00Z","signed_by":"operator","to":"2026-11-30","v":1}'
)
"""As links had it before."""


def text(content: bytes = CONTENT) -> str:
    return f"{spelled(content)}.{spelled(KEY.sign(DOMAIN + content))}"


def test_a_link_from_before_packs_is_read_and_is_by_its_key() -> None:
    signed = read(text())
    said = signed.statement
    assert (said.organisation.name, said.cost_usd, said.calls, said.scope) == (
        "ArcTrade",
        "4237.18",
        12_345,
        {"project": "HPC"},
    )
    assert (signed.kid, said.checkpoint) == ("00112233", None)
    assert signed.is_by(PUBLIC)
    assert not signed.is_by(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


def test_the_two_forms_cannot_be_taken_for_each_other() -> None:
    said = read(text()).statement
    as_a_pack = read(sign(said, KEY))
    assert as_a_pack.kid is None
    assert not read(f"{spelled(payload(said))}.{spelled(KEY.sign(DOMAIN + payload(said)))}").is_by(PUBLIC)


@pytest.mark.parametrize(
    "content",
    [
        b" " + CONTENT,
        CONTENT.replace(b'"calls":12345', b'"calls":12345,"more":1'),
        CONTENT.replace(b"ArcTrade", b"Arc\\u0054rade"),
        CONTENT.replace(b'"v":1', b'"v":2'),
    ],
)
def test_another_spelling_is_refused_though_the_key_signed_it(content: bytes) -> None:
    with pytest.raises(BadFigure):
        read(text(content))


def test_openssl_checks_the_file_without_us(tmp_path: Path) -> None:
    check = json.loads(read(text()).as_file(PUBLIC))["check"]
    (tmp_path / "key.pem").write_text(check["public_key"])
    (tmp_path / "message").write_bytes(base64.b64decode(check["message"]))
    (tmp_path / "signature").write_bytes(base64.b64decode(check["signature"]))
    command = check["how"][3].split()
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Verified Successfully" in told.stdout
    shown = subprocess.run(check["how"][4].split(), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["cost_usd"] == "4237.18"
    (tmp_path / "message").write_bytes(base64.b64decode(check["message"]).replace(b"4237.18", b"4237.19"))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
