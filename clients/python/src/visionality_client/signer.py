"""The two headers that prove a request comes from whoever holds the binding key.

    X-Acc-Caller:  svc:checkout-api
    X-Acc-Binding: b1;k=<key id>;t=<unix seconds>;n=<22 base64url: 16 random bytes>;s=<43 base64url>
    s = HMAC-SHA256(key, "ACC2-HMAC-SHA256" NUL | LP(b1) LP(k) LP(t) LP(n) LP(METHOD) LP(aud) LP(target)
                    LP(content-type) LP(content-encoding) LP(caller) LP(SHA-256(body)) LP(SHA-256(token)))
    LP(x) = length as u32, big end first | x

Each proof is good for one request at one time: sign every attempt, also each repeat of the same request. What each field
is and what a proxy must leave alone is described in docs/guide/signing.md.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from visionality_client.binding_key import BindingKey

NONCE_BYTES = 16

_DOMAIN = b"ACC2-HMAC-SHA256\0"
_CALLER = re.compile(r"[!-~]{1,128}")
_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")


class CannotSign(ValueError):
    """A request that no proof can be made for. Its text says what is missing."""


class Signer:
    """Signs requests for one caller.

    `base_path` is the path of the gateway's public address, empty where it has none: what stands before it is not
    seen by the gateway. `clock` gives Unix seconds, `nonce` that many random bytes.
    """

    def __init__(
        self,
        binding_key: BindingKey,
        caller: str,
        base_path: str = "",
        clock: Callable[[], float] = time.time,
        nonce: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if not _CALLER.fullmatch(caller):
            raise ValueError("caller: expected 1 to 128 visible ASCII characters, as in svc:checkout-api")
        self._binding_key = binding_key
        self._caller = caller
        self._base_path = base_path.rstrip("/")
        self._clock = clock
        self._nonce = nonce

    def headers(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str | bytes],
        body: bytes,
        token: str | None = None,
    ) -> dict[str, str]:
        """The headers to add to this request, good for sending it once.

        `target` is the path with `?` and the query where there is one, `headers` and `body` are as they are sent. The
        token is the credential that the headers carry, where it is not named. Raises CannotSign.
        """
        sent = {name.lower(): _text(value) for name, value in headers.items()}
        key = self._binding_key
        at, nonce = str(int(self._clock())), _spelled(self._nonce(NONCE_BYTES))
        fields = (
            b"b1",
            key.key_id.encode(),
            at.encode(),
            nonce.encode(),
            method.encode(),
            key.aud.encode(),
            self._seen_by_the_gateway(target).encode(),
            sent.get("content-type", "").encode(),
            sent.get("content-encoding", "").encode(),
            self._caller.encode(),
            hashlib.sha256(body).digest(),
            hashlib.sha256((token or _credential(sent)).encode()).digest(),
        )
        text = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
        mac = _spelled(hmac.digest(key.key, _DOMAIN + text, "sha256"))
        return {"X-Acc-Caller": self._caller, "X-Acc-Binding": f"b1;k={key.key_id};t={at};n={nonce};s={mac}"}

    def _seen_by_the_gateway(self, target: str) -> str:
        """The target below the gateway's own path; a `?` with nothing after it is no query, and servers drop it."""
        path, _, query = target.partition("?")
        below = path[len(self._base_path) :]
        if not path.startswith(self._base_path) or not below.startswith("/"):
            raise CannotSign(
                f"this signer is for paths below {self._base_path}/, and the request is for {path}"
            )
        return f"{below}?{query}" if query else below


def _credential(sent: Mapping[str, str]) -> str:
    """The one credential of a request, wherever the client put it."""
    found = {sent[name] for name in _KEY_HEADERS if name in sent}
    scheme, _, token = sent.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found.add(token.strip(" \t"))
    found.discard("")
    if len(found) != 1:
        came = "two different ones came" if found else "none came"
        places = ", ".join(("Authorization: Bearer", *_KEY_HEADERS))
        raise CannotSign(f"expected one key or token in {places}: {came}")
    return found.pop()


def _text(value: str | bytes) -> str:
    """A header's value as the gateway reads it: white space around it is not part of it (RFC 9110, 5.5)."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.strip(" \t")


def _spelled(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
