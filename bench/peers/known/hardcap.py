"""Hardcap from PyPI with one worker, its budgets in a Redis of its own (Debian's)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.peers.cache import by_apt, by_pip
from bench.peers.peer import Peer, Running, child, free_port, process

CONFIGURATION = """
listen: {{host: 127.0.0.1, port: {port}}}
redis_url: redis://127.0.0.1:{redis}/0
upstreams:
  provider: {{kind: openai, base_url: "http://127.0.0.1:{upstream}", api_key: bench}}
routes:
  gpt-4o: {{targets: [{{upstream: provider, model: gpt-4o}}]}}
tenants:
  bench: {{api_keys: [bench], budget: {{window_s: 86400, total: 1000000000000}}}}
"""
REDIS = (
    "redis-server",
    "redis-tools",
    "libatomic1",
    "libhiredis0.14",
    "libjemalloc2",
    "liblua5.1-0",
    "liblzf1",
    "lua-bitop",
    "lua-cjson",
)


def install(home: Path) -> str:
    by_apt(home / "redis", *REDIS)
    return by_pip(home / "venv", "hardcap")


@contextmanager
def start(home: Path, scratch: Path, upstream: int) -> Iterator[Running]:
    port, redis, file = free_port(), free_port(), scratch / "hardcap.yaml"
    file.write_text(CONFIGURATION.format(port=port, redis=redis, upstream=upstream))
    libraries = ":".join(str(folder) for folder in (home / "redis").glob("usr/lib/*-linux-gnu"))
    store: list[str | Path] = [
        home / "redis/usr/bin/redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        str(redis),
        "--save",
        "",
    ]
    place = scratch / "redis"
    place.mkdir()
    with (
        child(store, os.environ | {"LD_LIBRARY_PATH": libraries}, place) as database,
        process([home / "venv/bin/hardcap", "serve", "-c", file], os.environ, port, scratch) as running,
    ):
        yield replace(running, database=database.pid)


HARDCAP = Peer("Hardcap", "key, one token budget in Redis; no ledger", install, start)
