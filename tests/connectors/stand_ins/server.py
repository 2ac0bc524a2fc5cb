"""Simulated services: real HTTP over loopback, in the shapes of the services' references, with what a test wants to go wrong.

They are stand-ins: nothing of the real services can be had in a test. What they hold is in connectors.world.
"""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 2
"""Of every list, whatever was asked for, so that little data makes many pages."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def one(self, name: str, otherwise: str = "") -> str:
        return self.query.get(name, [otherwise])[0]


@dataclass(frozen=True)
class Reply:
    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Iterator[bytes] | None = None
    """Sent as they come, instead of the content."""


NOTHING = Reply({"message": "Not Found"}, 404)


class StandIn:
    """One service. Subclasses answer in `route`; `planned` replies come first, each once."""

    authorization: str
    secret: str
    expired = Reply({"message": "Bad credentials"}, 401)

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Request] = []
        self.planned: list[Reply | Callable[[Request], Reply | None]] = []

    def route(self, request: Request) -> Reply:
        raise NotImplementedError

    def answer(self, request: Request) -> Reply:
        self.seen.append(request)
        if self.planned:
            reply = self.planned.pop(0)
            reply = reply(request) if callable(reply) else reply
            if reply is not None:
                return reply
        if request.headers.get("authorization") != self.authorization:
            return self.expired
        return self.route(request)

    def asked(self, ending: str = "") -> list[Request]:
        return [one for one in self.seen if one.path.endswith(ending)]


@contextmanager
def serving(service: StandIn, tls: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            target = urlsplit(self.path)
            length = int(self.headers.get("content-length", 0))
            reply = service.answer(
                Request(
                    self.command,
                    target.path,
                    parse_qs(target.query),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
            )
            try:
                self._send(reply)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_POST = do_GET  # noqa: N815 -- http.server calls it so

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.pieces is None:
                body = json.dumps(reply.content).encode()
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_header("connection", "close")
            self.end_headers()
            for piece in reply.pieces:
                self.wfile.write(piece)

        def log_message(self, *words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def cut(things: list[Any], start: int) -> tuple[list[Any], bool]:
    """A page of a list, and whether it is the last."""
    return things[start : start + PAGE], start + PAGE >= len(things)
