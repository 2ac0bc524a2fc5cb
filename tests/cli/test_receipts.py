"""A receipt from the real product, checked as its receiver would: with a list of keys, and later with the proof that it was sealed (S4)."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.calls import GPT, new_id

DOMAIN = b"visionality receipt v1\0"


class Receiver:
    """A folder with what somebody has who made a call."""

    def __init__(self, product, folder: Path) -> None:
        self.product, self.folder = product, folder
        product.until(lambda: product.query("select from vis.evidence_keys where role = 'receipt'"))
        self.key = product.issue()
        self.row = self.called("receipt.txt")
        self.keys = json.loads(product.run("evidence", "keys"))
        self.write("keys.json", json.dumps(self.keys))

    def called(self, name: str) -> dict[str, Any]:
        """Make a call, keep its receipt, return its row."""
        call_id = new_id()
        with openai.OpenAI(base_url=f"{self.product.gateway}/v1", api_key=self.key, max_retries=0) as client:
            raw = client.chat.completions.with_raw_response.create(
                model=GPT,
                messages=[{"role": "user", "content": "one two three"}],
                extra_headers={"x-vis-receipt": "1", "x-client-request-id": call_id},
            )
        self.write(name, raw.headers["x-vis-receipt"])
        (row,) = self.product.rows_of(call_id)
        return row

    def prove(self, row: dict[str, Any], name: str) -> None:
        words = ("evidence", "prove", str(row["id"]), "-o", str(self.folder / name))
        self.product.until(lambda: self.product.try_run(*words).returncode == 0)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def verify(self, *words: str, receipt: str = "receipt.txt") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vis_verify", "receipt", receipt, "--key", "keys.json", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    @property
    def parts(self) -> tuple[bytes, bytes]:
        text = (self.folder / "receipt.txt").read_text()
        content, signature = (base64.urlsafe_b64decode(part + "==") for part in text.split("."))
        return content, signature


@pytest.fixture
def receiver(product, tmp_path) -> Receiver:
    return Receiver(product, tmp_path)


def spelled(content: bytes, signature: bytes) -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (content, signature))


def test_a_receipt_is_good_and_with_the_later_proof_its_row_is_shown_to_be_sealed(receiver):
    told = receiver.verify()
    assert told.returncode == 0, told.stdout
    assert str(receiver.row["request_id"]) in told.stdout
    assert "sealed        not shown" in told.stdout
    receiver.prove(receiver.row, "proof.json")
    told = receiver.verify("--proof", "proof.json")
    assert told.returncode == 0, told.stdout
    assert "sealed        row " in told.stdout
    head = json.loads((receiver.folder / "proof.json").read_text())["checkpoint"]
    assert head.splitlines()[0].endswith(f"/{receiver.row['org_id']}/request_logs")


def test_a_proof_is_of_its_own_row_alone(receiver):
    receiver.prove(receiver.called("other.txt"), "proof.json")
    assert receiver.verify("--proof", "proof.json").returncode == 40
    assert receiver.verify("--proof", "proof.json", receipt="other.txt").returncode == 0


def test_any_changed_character_is_refused(receiver):
    text = (receiver.folder / "receipt.txt").read_text()
    for place in range(0, len(text), 97):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        receiver.write("changed.txt", changed)
        assert receiver.verify(receipt="changed.txt").returncode in {10, 20, 21}, place


def test_a_cost_that_was_written_down_anew_or_signed_by_a_foreign_key_is_refused(receiver):
    content, signature = receiver.parts
    said = json.loads(content)
    forger = Ed25519PrivateKey.generate()
    cheaper = json.dumps(said | {"cost_nusd": "1"}, sort_keys=True, separators=(",", ":")).encode()
    receiver.write("forged.txt", spelled(cheaper, signature))
    assert receiver.verify(receipt="forged.txt").returncode == 20
    receiver.write("forged.txt", spelled(cheaper, forger.sign(DOMAIN + cheaper)))
    assert receiver.verify(receipt="forged.txt").returncode == 20
    keyid = json.dumps(said | {"keyid": "0" * 64}, sort_keys=True, separators=(",", ":")).encode()
    receiver.write("forged.txt", spelled(keyid, forger.sign(DOMAIN + keyid)))
    assert receiver.verify(receipt="forged.txt").returncode == 21


def test_a_receipt_of_another_installation_or_a_revoked_key_is_refused(receiver):
    receiver.write("keys.json", json.dumps(receiver.keys | {"installation": receiver.keys["org"]["id"]}))
    assert receiver.verify().returncode == 60
    for key in receiver.keys["keys"]:
        key["revoked_at"] = key["active_from"]
    receiver.write("keys.json", json.dumps(receiver.keys))
    assert receiver.verify().returncode == 22


def test_while_a_key_is_replaced_every_receipt_is_good_before_and_after(receiver):
    def signers() -> list[str]:
        keys = json.loads(receiver.product.run("evidence", "keys"))["keys"]
        return [key["fingerprint"] for key in keys if key["role"] == "receipt"]

    before = signers()
    receiver.product.run("evidence", "keys", "rotate", "--role", "receipt", "--reason", "yearly")
    receiver.product.until(lambda: len(signers()) > len(before))
    receiver.called("at-once.txt")
    receiver.write("keys.json", receiver.product.run("evidence", "keys"))
    for name in ("receipt.txt", "at-once.txt"):
        told = receiver.verify(receipt=name)
        assert told.returncode == 0, told.stdout

    def is_signed_anew() -> bool:
        receiver.called("new.txt")
        return signers()[-1] in receiver.verify(receipt="new.txt").stdout

    receiver.product.until(is_signed_anew)


def test_what_was_never_sealed_is_said_in_a_sentence(product):
    told = product.run("evidence", "prove", "01991d3a-0000-7000-8000-000000000000", code=1)
    assert told == ""
    failed = product.try_run("evidence", "prove", "01991d3a-0000-7000-8000-000000000000")
    assert "no row 01991d3a-0000-7000-8000-000000000000 was sealed" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_commands_of_the_page_check_a_receipt_with_openssl(receiver):
    page = (Path(__file__).parents[2] / "docs" / "audit" / "receipts.md").read_text()
    commands = next(block for block in page.split("```")[1::2] if "openssl" in block)
    named = json.loads(receiver.parts[0])["keyid"]
    (key,) = [key["public"] for key in receiver.keys["keys"] if key["fingerprint"] == named]
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
    receiver.write("key.pem", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())

    def run() -> subprocess.CompletedProcess[str]:
        command = ["bash", "-uc", commands]
        return subprocess.run(command, cwd=receiver.folder, capture_output=True, text=True, check=False)

    assert "Verified Successfully" in run().stdout
    content, signature = receiver.parts
    receiver.write("receipt.txt", spelled(content.replace(b'"USD"', b'"EUR"'), signature))
    assert run().returncode != 0
