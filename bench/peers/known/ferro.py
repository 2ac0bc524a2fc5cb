"""Ferro Labs' AI gateway from PyPI (`ferrogw` carries the Go binary), held to one core's worth of threads."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from bench.peers.cache import by_pip
from bench.peers.peer import Peer, Running, free_port, process

KEY = "fgw_0123456789abcdef0123456789abcdef"
CONFIGURATION = """
strategy:
  mode: single
targets:
  - virtual_key: openai
"""


def install(home: Path) -> str:
    return by_pip(home, "ferrogw")


def start(home: Path, scratch: Path, upstream: int) -> AbstractContextManager[Running]:
    port, file = free_port(), scratch / "config.yaml"
    file.write_text(CONFIGURATION)
    environment = os.environ | {
        "PORT": str(port),
        "GATEWAY_CONFIG": str(file),
        "MASTER_KEY": KEY,
        "OPENAI_API_KEY": "bench",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
        "RATE_LIMIT_RPS": "1000000",
        "RATE_LIMIT_BURST": "1000000",
        "FERRO_MODEL_CATALOG_TIMEOUT": "0",
        "LOG_LEVEL": "error",
        "GOMAXPROCS": "1",
    }
    return process([home / "bin/ferrogw", "serve"], environment, port, scratch, key=KEY)


FERRO = Peer("Ferro", "translates, one master key; no ledger", install, start)
