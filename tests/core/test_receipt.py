"""A receipt is what docs/audit/formats.md section 7 says, byte by byte, so that anybody can check one (S4)."""

import json
import subprocess
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from visionality.core.receipt import Signer, Stood, receipt

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ROW = Stood(
    UUID(int=1), UUID(int=2), UUID(int=3), datetime(2026, 11, 22, 12, tzinfo=UTC), "HPC\u2028\x7f<ë>", "USD",
    -3_405_000, 2**60, None, bytes(range(32)),
)  # fmt: skip
SIGNED = receipt(ROW, Signer.of(KEY), UUID(int=4), datetime(2026, 11, 22, 12, 0, 1, 5, tzinfo=UTC))


def test_a_receipt_is_its_content_in_jcs_and_the_signature_over_it() -> None:
    content, signature = (urlsafe_b64decode(part + "==") for part in SIGNED.split("."))
    said = json.loads(content)
    assert content == rfc8785.dumps(said)
    assert said == {
        "billed_nusd": str(2**60),
        "cost_nusd": "-3405000",
        "created_at": "2026-11-22T12:00:00.000000Z",
        "currency": "USD",
        "installation": str(UUID(int=4)),
        "keyid": "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c",
        "leaf": bytes(range(32)).hex(),
        "org_id": str(UUID(int=1)),
        "price_version": None,
        "project_id": "HPC\u2028\x7f<ë>",
        "request_id": str(UUID(int=3)),
        "row_id": str(UUID(int=2)),
        "signed_at": "2026-11-22T12:00:01.000005Z",
        "type": "receipt",
        "v": 1,
    }
    KEY.public_key().verify(signature, b"visionality receipt v1\0" + content)


def test_a_receipt_fits_into_a_header() -> None:
    assert SIGNED.isascii()
    assert SIGNED.isprintable()
    assert len(SIGNED) < 1200


def test_openssl_checks_a_receipt(tmp_path: Path) -> None:
    content, signature = (urlsafe_b64decode(part + "==") for part in SIGNED.split("."))
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "signature").write_bytes(signature)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key.pem",
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "signature",
    ]
    for message, code in ((content, 0), (content.replace(b"-3405000", b"-3405001"), 1)):
        (tmp_path / "message").write_bytes(b"visionality receipt v1\0" + message)
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == code
