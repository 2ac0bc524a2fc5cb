"""What a peer is to this benchmark: installed on demand, started on a port of its own, stopped."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.caller import request

CHAT = "/v1/chat/completions"
MODEL = b"gpt-4o"
ANSWERS_WITHIN = 60.0
PROBE = b'{"model": "gpt-4o", "max_tokens": 200, "messages": [{"role": "user", "content": "hello"}]}'


class CannotRun(Exception):
    """A peer cannot be installed or does not answer; says what was seen."""


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that answers: how it is called, and the roots of its process trees.

    `started_s` is until its first answer; `database` is the root of its database's processes, which are counted apart, and
    `commit_ms` what one durable commit takes there alone, p50 and p99.
    """

    port: int
    pids: tuple[int, ...]
    started_s: float
    path: str = CHAT
    key: str = "bench"
    headers: bytes = b""
    model: bytes = MODEL
    database: int = 0
    commit_ms: tuple[float, float] = (0.0, 0.0)

    def text(self, body: bytes) -> bytes:
        """The bytes of one call."""
        plain = request(self.port, self.path, self.key, body.replace(MODEL, self.model))
        return plain.replace(b"\r\n\r\n", b"\r\n" + self.headers + b"\r\n", 1)


@dataclass(frozen=True, slots=True)
class Peer:
    """`install` puts it into a directory of the cache, if it is not there, and returns its version; `start` takes that
    directory, one for scratch, and the upstream's port. Both raise CannotRun.
    """

    name: str
    does: str
    install: Callable[[Path], str]
    start: Callable[[Path, Path, int], AbstractContextManager[Running]]


@contextmanager
def child(
    command: Sequence[str | Path], environment: Mapping[str, str], scratch: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its scratch directory, which holds its log too, ended at the end."""
    log = scratch / "log"
    with log.open("wb") as out:
        began = subprocess.Popen(
            [str(word) for word in command],
            cwd=scratch,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield began
    finally:
        began.terminate()
        try:
            began.wait(15)
        except subprocess.TimeoutExpired:
            began.kill()
            began.wait()


@contextmanager
def process(
    command: Sequence[str | Path], environment: Mapping[str, str], port: int, scratch: Path, **called: Any
) -> Iterator[Running]:
    """A peer that is one command: yields when it answers a call. `called` says how: fields of Running."""
    began = time.perf_counter()
    with child(command, environment, scratch) as started:
        running = Running(port, (started.pid,), 0.0, **called)
        until_it_answers(running, lambda: started.poll() is None, scratch / "log")
        yield replace(running, started_s=time.perf_counter() - began)


def until_it_answers(running: Running, is_alive: Callable[[], bool], log: Path) -> None:
    """Ask until a call is answered with 200. Raises CannotRun with what was seen last."""
    seen, give_up = "no connection", time.monotonic() + ANSWERS_WITHIN
    while time.monotonic() < give_up and is_alive():
        try:
            with closing(socket.create_connection(("127.0.0.1", running.port), 5)) as asked:
                asked.settimeout(15)
                asked.sendall(running.text(PROBE))
                answer = asked.recv(65536)
        except OSError as error:
            seen = str(error)
        else:
            if answer.startswith(b"HTTP/1.1 200"):
                return
            seen = answer.decode(errors="replace")[:600]
        time.sleep(0.01)
    ended = "no good answer in time" if is_alive() else "it ended by itself"
    raise CannotRun(f"{ended}: {seen}; its log ends: {log.read_text(errors='replace')[-600:]}")


def free_port() -> int:
    with closing(socket.socket()) as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port
