"""Portkey's open gateway from npm: one Node process."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from bench.peers.cache import by_npm
from bench.peers.peer import Peer, Running, free_port, process

PACKAGE = "@portkey-ai/gateway"


def install(home: Path) -> str:
    return by_npm(home, PACKAGE)


def start(home: Path, scratch: Path, upstream: int) -> AbstractContextManager[Running]:
    port = free_port()
    server = home / "node_modules" / PACKAGE / "build/start-server.js"
    headers = f"x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:{upstream}/v1\r\n"
    trusted = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    return process(
        ["node", server, f"--port={port}", "--headless"],
        os.environ | trusted,
        port,
        scratch,
        headers=headers.encode(),
    )


PORTKEY = Peer("Portkey", "translates; no keys, no ledger", install, start)
