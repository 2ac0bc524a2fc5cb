"""An issuer of an attacker's own: a server on loopback that says in each answer whatever a test has it say (simulated).

The issuer of issuer.py is a real one and never lies; what is refused here is what only a lying one sends.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

KID = "ours"


@dataclass
class Forged:
    """What it says next. `claims` are laid over right ones; None takes a claim out."""

    address: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    signed: Callable[["Forged", dict[str, Any]], str] = lambda self, claims: self.by(self.key, claims)
    raw: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    """Answers that are written by hand, by path."""
    nonce: str = ""
    client_id: str = "forged"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def by(self, key: Any, claims: dict[str, Any], algorithm: str = "RS256") -> str:
        return jwt.encode(claims, key, algorithm, headers={"kid": KID})

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": KID, "alg": "RS256", "use": "sig"}]}

    def said(self, path: str) -> Any:
        match path:
            case "/.well-known/openid-configuration":
                ends = {"authorization": "auth", "token": "token", "userinfo": "me"}
                told = {f"{name}_endpoint": f"{self.address}/{end}" for name, end in ends.items()}
                told |= {"issuer": self.address, "jwks_uri": f"{self.address}/keys"}
                return (
                    told | {"token_endpoint_auth_methods_supported": ["client_secret_post"]} | self.discovery
                )
            case "/keys":
                return self.keys()
            case "/me":
                return {"sub": "s1", "email": "dana@houston.example", "email_verified": True} | self.userinfo
            case "/token":
                return {
                    "access_token": "a",
                    "token_type": "Bearer",
                    "id_token": self.signed(self, self._claims()),
                }
        return {}

    def _claims(self) -> dict[str, Any]:
        now = int(time.time())
        right = {"iss": self.address, "aud": self.client_id, "sub": "s1", "iat": now, "exp": now + 60}
        laid = right | {"nonce": self.nonce} | self.claims
        return {name: value for name, value in laid.items() if value is not None}


@contextmanager
def forging() -> Iterator[Forged]:
    forged = Forged()

    class Speaks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            self.rfile.read(length)
            path = self.path.partition("?")[0]
            if path in forged.raw:
                forged.raw[path](self)
                return
            body = json.dumps(forged.said(path)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 -- the name that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Speaks) as server:
        forged.address = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield forged
        finally:
            server.shutdown()
            serving.join()
