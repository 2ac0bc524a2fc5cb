"""A provider that answers with prepared bytes, for what no polite one would send."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Scripted:
    """Reads a request, sends the first of `first` or else `answer`, and hangs up, or stays silent until `let_go`."""

    listener: socket.socket
    answer: bytes = b""
    first: list[bytes] = field(default_factory=list)
    stays_open: bool = False
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 20)
            connection.sendall(self.first.pop(0) if self.first else self.answer)
            if self.stays_open:
                self.let_go.wait()


@contextmanager
def scripted() -> Iterator[Scripted]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        provider = Scripted(listener)
        threading.Thread(target=provider.serve, daemon=True).start()
        try:
            yield provider
        finally:
            provider.let_go.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def closed_port() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
