"""The requests of clients/vectors.json, each with the proof that core/binding.py gives: what helpers in any language must make.

`PYTHONPATH=tests python -m clients.vectors` writes the file again. Every field of a vector is text: bytes are base64, the
target and the headers are as the client sends them, `base_path` is the path of the gateway's public address.
"""

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any

from visionality.core.binding import Signed, header
from visionality.core.handle import checksum

FILE = Path(__file__).parents[2] / "clients" / "vectors.json"

KEY = bytes(range(32))
OTHER_KEY = hashlib.sha256(b"another binding key").digest()
KEY_ID = "0197f2a4-8c11-7cde-9b52-6b1f0a4c2d3e"
AUD = "vis:0197f2a4-0000-7000-8000-000000000001"
CALLER = "svc:checkout-api"
AT = 1_795_330_000
NONCE = bytes(range(100, 116))
TOKEN = "visk_live_" + "7" * 32 + "AbCdEf"
JSON = "application/json"
CHAT = b'{"model":"gpt-4.1","messages":[{"role":"user","content":"one two three"}]}'


def exported(key: bytes, env: str = "live") -> str:
    head = f"visb_{env}_{urlsafe_b64encode(key).rstrip(b'=').decode()}"
    return f"{head}_{checksum(head)}"


def vector(
    name: str,
    *,
    key: bytes = KEY,
    key_id: str = KEY_ID,
    caller: str = CALLER,
    at: int = AT,
    nonce: bytes = NONCE,
    base_path: str = "",
    method: str = "POST",
    target: str = "/v1/chat/completions",
    target_seen: str | None = None,
    content_type: str | None = JSON,
    content_encoding: str | None = None,
    key_header: tuple[str, str] = ("Authorization", "Bearer {}"),
    content_names: tuple[str, str] = ("Content-Type", "Content-Encoding"),
    token: str = TOKEN,
    body: bytes = CHAT,
) -> dict[str, Any]:
    """One request as a client has it before it signs, and the two headers to add; the gateway sees `target_seen`."""
    place, spelling = key_header
    said = dict(zip(content_names, (content_type, content_encoding), strict=True))
    signed = Signed(
        method.encode(),
        (target_seen or target).encode(),
        (content_type or "").encode(),
        (content_encoding or "").encode(),
        caller.encode(),
        hashlib.sha256(body).digest(),
        hashlib.sha256(token.encode()).digest(),
    )
    return {
        "name": name,
        "binding_key": {"key_id": key_id, "key": exported(key), "aud": AUD},
        "caller": caller,
        "base_path": base_path,
        "at": at,
        "nonce": b64encode(nonce).decode(),
        "method": method,
        "target": target,
        "headers": {place: spelling.format(token)}
        | {name: value for name, value in said.items() if value is not None},
        "body": b64encode(body).decode(),
        "x_acc_caller": caller,
        "x_acc_binding": header(key, AUD, key_id, at, nonce, signed),
    }


def vectors() -> list[dict[str, Any]]:
    return [
        vector("a chat completion"),
        vector("no body and no content type", method="GET", target="/v1/models", content_type=None, body=b""),
        vector("an empty body that has a content type", body=b""),
        vector(
            "a query", target="/v1/models?limit=2&after=a%2Fb+c", method="GET", content_type=None, body=b""
        ),
        vector("a ? with nothing after it is no query", target="/v1/files?", target_seen="/v1/files"),
        vector("a query that is a ?", target="/v1/files??"),
        vector(
            "escapes in the path stay as they are sent",
            target="/model/anthropic.claude%2Dopus%3A0%2Fx/invoke",
        ),
        vector("text beyond ASCII", body='{"content":"Σύνολο: 12 € · 合計 ✓"}'.encode()),
        vector("bytes that are no text", content_type="application/octet-stream", body=bytes(range(256))),
        vector("a content type with parameters", content_type="application/json; charset=utf-8"),
        vector(
            "a multipart body",
            content_type="multipart/form-data; boundary=x",
            body=b"--x\r\n\r\n1\r\n--x--\r\n",
        ),
        vector(
            "an encoded body is covered as it is sent", content_encoding="gzip", body=b"\x1f\x8b\x08\x00\xff"
        ),
        vector(
            "names of headers in any case",
            content_names=("CONTENT-TYPE", "content-ENCODING"),
            content_encoding="br",
        ),
        vector("the key in x-api-key", target="/v1/messages", key_header=("x-api-key", "{}")),
        vector(
            "the key in api-key",
            target="/openai/deployments/a/chat/completions",
            key_header=("api-key", "{}"),
        ),
        vector(
            "the key in x-goog-api-key",
            target="/v1beta/models/gemini-2.5-flash:generateContent",
            key_header=("X-Goog-Api-Key", "{}"),
        ),
        vector("a scheme in lower case", key_header=("authorization", "bearer {}")),
        vector("a token as long as there are", token="vis2_live_" + "aB3-_" * 800),
        vector(
            "a gateway below a path",
            base_path="/ai/gateway",
            target="/ai/gateway/v1/messages?a=/ai/gateway/v1",
            target_seen="/v1/messages?a=/ai/gateway/v1",
        ),
        vector("the longest caller", caller="~" * 128),
        vector("another key, nonce and time", key=OTHER_KEY, key_id="k", nonce=bytes(16), at=0),
        vector("a nonce that spells - and _", nonce=b"\xfb\xff" * 8),
        vector("a long body", body=b"a" * 5_000),
    ]


def rendered() -> str:
    return json.dumps(vectors(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered())
