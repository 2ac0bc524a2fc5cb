"""SMG (Shepherd Model Gateway) from PyPI: a Rust router in front of OpenAI's format, one thread."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from bench.peers.cache import by_pip
from bench.peers.peer import Peer, Running, free_port, process


def install(home: Path) -> str:
    return by_pip(home, "smg")


def start(home: Path, scratch: Path, upstream: int) -> AbstractContextManager[Running]:
    port = free_port()
    flags = ["--host", "127.0.0.1", "--port", str(port), "--backend", "openai", "--log-level", "error"]
    flags += ["--worker-urls", f"http://127.0.0.1:{upstream}", "--prometheus-port", str(free_port())]
    flags += ["--disable-health-check", "--history-backend", "none", "--prometheus-host", "127.0.0.1"]
    environment = os.environ | {"TOKIO_WORKER_THREADS": "1"}
    return process([home / "bin/smg", "launch", *flags], environment, port, scratch)


SMG = Peer("SMG", "routes; no keys, no ledger", install, start)
