"""LiteLLM's proxy from PyPI with one worker, without its database: one master key, no spend, no log."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from bench.peers.cache import by_pip
from bench.peers.peer import Peer, Running, free_port, process

CONFIGURATION = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: bench
litellm_settings:
  telemetry: false
"""
KEY = "sk-" + "5d0c7a91e4b8f263" * 4
OFFLINE = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MASTER_KEY": KEY,
    "DISABLE_ADMIN_UI": "True",
}


def install(home: Path) -> str:
    return by_pip(home, "litellm[proxy]")


def start(home: Path, scratch: Path, upstream: int) -> AbstractContextManager[Running]:
    port, file = free_port(), scratch / "litellm.yaml"
    file.write_text(CONFIGURATION.format(upstream=upstream))
    flags = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return process(
        [home / "bin/litellm", "--config", file, *flags], os.environ | OFFLINE, port, scratch, key=KEY
    )


LITELLM = Peer("LiteLLM", "translates, counts, one master key; no ledger", install, start)
