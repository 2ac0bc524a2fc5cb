"""TensorZero's gateway as its PyPI package carries it: the Rust server, started inside a Python process that then sleeps.

Without its databases, so nothing is stored.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers.cache import by_pip
from bench.peers.peer import Peer, Running, child, until_it_answers

CONFIGURATION = """
[gateway]
observability.enabled = false

[models.gpt-4o]
routing = ["provider"]

[models.gpt-4o.providers.provider]
type = "openai"
model_name = "gpt-4o"
api_base = "http://127.0.0.1:{upstream}/v1/"
api_key_location = "none"
"""
SERVE = """
import os, signal, sys, tensorzero
served = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
with open(sys.argv[2] + ".part", "w") as file:
    file.write(served.base_url)
os.rename(sys.argv[2] + ".part", sys.argv[2])
signal.pause()
"""


def install(home: Path) -> str:
    return by_pip(home, "tensorzero")


@contextmanager
def start(home: Path, scratch: Path, upstream: int) -> Iterator[Running]:
    file, address = scratch / "tensorzero.toml", scratch / "address"
    file.write_text(CONFIGURATION.format(upstream=upstream))
    began = time.perf_counter()
    environment = os.environ | {"TOKIO_WORKER_THREADS": "1"}
    with child([home / "bin/python", "-c", SERVE, file, address], environment, scratch) as started:
        while started.poll() is None and not address.exists():
            time.sleep(0.01)
        served = urlsplit(address.read_text() if address.exists() else "http://127.0.0.1:1")
        path = served.path + "/chat/completions"
        running = Running(
            served.port or 0, (started.pid,), 0.0, path, model=b"tensorzero::model_name::gpt-4o"
        )
        until_it_answers(running, lambda: started.poll() is None, scratch / "log")
        yield replace(running, started_s=time.perf_counter() - began)


TENSORZERO = Peer("TensorZero", "translates; stores nothing here", install, start)
