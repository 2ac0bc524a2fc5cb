"""A server on loopback that reads a proof as the gateway does, by core/binding.py, and answers as it is told to."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from clients.vectors import AUD, KEY, KEY_ID
from visionality.core import binding
from visionality.gateway.authenticate import presented

KEEP_ALIVE_SECONDS = 30


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; names of headers are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def credential(self) -> str:
        return presented([(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()])

    @property
    def proof(self) -> binding.Proof | None:
        return binding.read(self.headers.get("x-acc-binding", ""))

    @property
    def proven(self) -> bool:
        return self.proven_at(self.target)

    def proven_at(self, target: str) -> bool:
        """Whether its proof is of this very request, sent to this target."""
        proof, sent = self.proof, self.headers
        signed = binding.Signed(
            self.method.encode(),
            target.encode(),
            sent.get("content-type", "").encode(),
            sent.get("content-encoding", "").encode(),
            sent.get("x-acc-caller", "").encode(),
            hashlib.sha256(self.body).digest(),
            hashlib.sha256(self.credential.encode()).digest(),
        )
        return proof is not None and proof.key_id == KEY_ID and binding.is_proven(KEY, AUD, proof, signed)


@dataclass
class Gateway:
    """What arrived, and what is answered (status, headers, JSON): each answer once, and then the last one again."""

    url: str
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=lambda: [(200, {}, {})])
    seen: list[Seen] = field(default_factory=list)

    def answers_with(self, *answers: tuple[int, dict[str, str], Any]) -> None:
        self.answers = list(answers)

    def next(self) -> tuple[int, dict[str, str], Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def check(self, requests: int) -> None:
        """So many requests came, each with a proof of its own that holds."""
        assert [seen.proven for seen in self.seen] == [True] * requests
        assert len({seen.proof.nonce for seen in self.seen}) == requests


@contextmanager
def running() -> Iterator[Gateway]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.gateway = Gateway(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _without_empty_query(target: str) -> str:
    """As ASGI tells it: a `?` with nothing after it is not there."""
    path, _, query = target.partition("?")
    return f"{path}?{query}" if query else path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = KEEP_ALIVE_SECONDS

    def _answer(self) -> None:
        gateway = self.server.gateway
        headers = {name.lower(): value for name, value in self.headers.items()}
        gateway.seen.append(Seen(self.command, _without_empty_query(self.path), headers, self._body()))
        status, more, said = gateway.next()
        content = json.dumps(said).encode()
        self.send_response(status)
        given = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            "connection": "close",
        }
        for name, value in (given | more).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def log_message(self, *_: Any) -> None:
        """Nothing is printed of a test's requests."""
