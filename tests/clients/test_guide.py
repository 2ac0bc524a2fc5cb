"""Promise K4 by hand: the programs of docs/guide/signing.md run as they are printed, and the core believes what they send."""

import json
import shutil
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

import visionality_client
from clients.guide import PAGE, examples
from clients.vectors import AUD, CALLER, FILE, KEY_ID, OTHER_KEY, exported, vectors
from npm.modules import bare_environment

TOKEN = "vis2_live_" + "aB3-_" * 20
MINTED = {"token": TOKEN, "jti": "0197f2a4", "expires_at": "2026-11-22T08:00:00Z", "cap_usd": "0.50"}
COMPLETION = {"id": "c", "object": "chat.completion", "created": 0, "model": "gpt-4.1", "choices": []}
BINDING_KEY = vectors()[0]["binding_key"]
SEALED = json.loads((FILE.parent / "sealed.json").read_text())
PROGRAMS = ("bash", "openssl", "curl", "od")


def run(*command: str, body: str = "", **settings: str) -> str:
    ran = subprocess.run(
        command, input=body, env=bare_environment() | settings, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("body", ["", "{}", '{"content": "Σύνολο: 12 € · 合計 ✓\\n"}', "a" * 100_000])
def test_the_shell_script_signs_by_hand(gateway, body):
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        pytest.skip(f"the script needs {', '.join(absent)}")
    (script,) = examples("bash")
    gateway.answers_with((200, {}, COMPLETION))
    key = {"KEY_ID": KEY_ID, "KEY": BINDING_KEY["key"], "AUD": AUD, "CALLER": CALLER}
    told = run("bash", "-c", script, body=body, GATEWAY=gateway.url, TOKEN=TOKEN, **key)
    assert json.loads(told) == COMPLETION
    gateway.check(requests=1)
    assert gateway.seen[0].body == body.encode()
    run(
        "bash",
        "-c",
        script,
        body=body,
        GATEWAY=gateway.url,
        TOKEN=TOKEN,
        **key | {"KEY": exported(OTHER_KEY)},
    )
    assert not gateway.seen[1].proven


def test_the_python_examples_sign(gateway):
    making, call, minting = examples("python")
    gateway.answers_with((500, {"retry-after-ms": "1"}, {}), (200, {}, COMPLETION), (201, {}, MINTED))
    settings = {
        "PYTHONPATH": str(Path(visionality_client.__file__).parents[1]),
        "GATEWAY": gateway.url,
        "TOKEN": TOKEN,
        "PRIVATE_KEY": urlsafe_b64decode(SEALED["private_jwk"]["d"] + "=").hex(),
        "SEALED": json.dumps(SEALED["sealed"]),
        "BINDING_KEY": json.dumps(BINDING_KEY),
    }
    kept, given = (line.split()[-1] for line in run(sys.executable, "-c", making, **settings).splitlines())
    assert (len(bytes.fromhex(kept)), len(given)) == (32, 43)
    assert run(sys.executable, "-c", call, **settings) == "gpt-4.1\n"
    assert run(sys.executable, "-c", minting, **settings) == "0197f2a4 2026-11-22T08:00:00Z\n"
    gateway.check(requests=3)
    assert [seen.target for seen in gateway.seen] == ["/v1/chat/completions"] * 2 + ["/spend-tokens"]


def test_the_page_shows_the_first_vectors_header():
    made = vectors()[0]["x_acc_binding"]
    shown = made[: made.index(";s=") + len(";s=") + 4]
    assert f"X-Acc-Binding: {shown}…" in PAGE.read_text()
