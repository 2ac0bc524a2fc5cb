"""An HTTP server on loopback that answers by a function, and on demand answers wrong or not at all."""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Reply: TypeAlias = tuple[int, dict[str, str], bytes]
SILENCE: Reply = (0, {}, b"")
"""What never comes."""


@dataclass
class Front:
    """`answer` is the service; while there is a `fault`, it answers in its place. SILENCE lasts until the server ends."""

    answer: Callable[[Asked], Reply]
    tls: ssl.SSLContext | None = None
    fault: Callable[[Asked], Reply] | None = None
    asked: list[Asked] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(self.command, self.path, dict(self.headers), body)
                front.asked.append(asked)
                status, headers, content = (front.fault or front.answer)(asked)
                if status == 0:
                    front._over.wait()
                    return
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST  # noqa: N815 -- http.server calls it so

            def log_message(self, *words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def forwarding_to(url: str) -> Callable[[Asked], Reply]:
    """What hands requests on to a server behind, and its answers back."""
    host = urlsplit(url).netloc

    def answer(asked: Asked) -> Reply:
        connection = HTTPConnection(host, timeout=10)
        try:
            dropped = {"host", "connection", "accept-encoding"}
            headers = {name: value for name, value in asked.headers.items() if name.lower() not in dropped}
            connection.request(asked.method, asked.path, asked.body or None, headers)
            with connection.getresponse() as response:
                kept = {
                    name: value
                    for name, value in response.getheaders()
                    if name.lower()
                    not in {"content-length", "transfer-encoding", "connection", "date", "server"}
                }
                return response.status, kept, response.read()
        finally:
            connection.close()

    return answer
