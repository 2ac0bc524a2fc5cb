"""A customer's backend: it holds a binding key in memory, signs each request, and mints spend tokens."""

import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.calls import CHAT, Reply, ask, body_of, new_id
from product import Product
from visionality.core.binding import Signed, header

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass
class Backend:
    """`key_id`, `key` and `aud` are of its newest binding key."""

    product: Product
    service: str
    caller: str = "svc:checkout"
    private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    key_id: str = ""
    key: bytes = b""
    aud: str = ""

    @classmethod
    def registered(cls, product: Product, service: str) -> "Backend":
        made = cls(product, service)
        public = made.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        spelled = urlsafe_b64encode(public).rstrip(b"=").decode()
        product.run("service", "add", service, "--x25519", spelled)
        made.take(product.run("binding-key", "create", service))
        return made

    def take(self, printed: str) -> None:
        """Open a binding key that was sealed to this backend."""
        said = json.loads(printed)
        sealed = urlsafe_b64decode(said["enc_ct"] + "=" * (-len(said["enc_ct"]) % 4))
        info = b"visionality binding key v1\0" + said["key_id"].encode() + b"\0" + said["aud"].encode()
        self.key = SUITE.decrypt(sealed, self.private, info=info)
        assert sha256(self.key).hexdigest() == said["thumbprint"]
        self.key_id, self.aud = said["key_id"], said["aud"]

    def issue(
        self, *words: str, agent: str = "alice@arctrade", project: str | None = "HPC"
    ) -> dict[str, Any]:
        """A fresh key of this service, as `vis key issue --envelope --json` prints it, once the gateway knows it."""
        bound = ("--project", project) if project else ()
        issued = json.loads(
            self.product.run(
                "key",
                "issue",
                "--agent",
                agent,
                *bound,
                "--service",
                self.service,
                "--envelope",
                "--json",
                *words,
            )
        )
        self.until_known(issued["handle"])
        return issued

    def until_known(self, key: str) -> None:
        self.product.until(lambda: self.code(key, "/v1/models", b"", method="GET") != "spend_token_invalid")

    def signed(self, path: str, body: bytes, token: str, **other: Any) -> str:
        """The proof of a request; `other` says what is not as it should be."""
        said = Signed(
            other.get("method", "POST").encode(),
            other.get("target", path).encode(),
            other.get("content_type", "application/json").encode(),
            b"",
            other.get("caller", self.caller).encode(),
            sha256(other.get("of_body", body)).digest(),
            sha256(other.get("of_token", token).encode()).digest(),
        )
        at = int(time.time()) + other.get("late", 0)
        nonce = other.get("nonce") or os.urandom(16)
        return header(
            other.get("key", self.key),
            other.get("aud", self.aud),
            other.get("key_id", self.key_id),
            at,
            nonce,
            said,
        )

    def post(
        self,
        token: str,
        path: str = CHAT,
        body: bytes | None = None,
        *,
        proof: str | None = "made",
        call_id: str = "",
        more: tuple[tuple[str, str], ...] = (),
        **other: Any,
    ) -> Reply:
        """A signed call; `proof` None sends none, and a text sends that."""
        content = body_of(path) if body is None else body
        headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
        headers += [("x-acc-caller", other.get("says_caller", self.caller))]
        if proof is not None:
            headers.append(
                ("x-acc-binding", self.signed(path, content, token, **other) if proof == "made" else proof)
            )
        headers += [("x-client-request-id", call_id)] if call_id else []
        return ask(self.product.gateway, "POST", path, [*headers, *more], content)

    def code(self, token: str, path: str = CHAT, body: bytes | None = None, *, method: str = "POST") -> str:
        """The error code of an unsigned request; empty when there is none."""
        content = body_of(path) if body is None else body
        headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
        reply = ask(self.product.gateway, method, path, headers, content or None)
        return reply.header("x-acc-error") or ""

    def mint(self, token: str, *, proof: str | None = "made", **wanted: Any) -> Reply:
        return self.post(token, "/spend-tokens", json.dumps({"cap_usd": "1"} | wanted).encode(), proof=proof)

    def minted(self, token: str, **wanted: Any) -> str:
        reply = self.mint(token, **wanted)
        assert reply.status == 201, reply.body
        return json.loads(reply.body)["token"]

    def row_of(self, reply_or_call: str) -> dict[str, Any]:
        self.product.until(lambda: self.product.rows_of(reply_or_call))
        (row,) = self.product.rows_of(reply_or_call)
        return row


__all__ = ["Backend", "new_id"]
