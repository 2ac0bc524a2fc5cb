"""What a process loads is what its start costs: each leaves out what only others need."""

import subprocess
import sys

import pytest

from product import PATIENCE

LOADS = {
    "visionality.cli.main": {"psycopg", "asyncpg", "asyncio", "django", "structlog", "cryptography", "genai_prices"},
    "visionality.cli.up": {"psycopg", "asyncpg", "asyncio", "django", "structlog", "cryptography", "genai_prices"},
    "visionality.cli.prepare": {"asyncpg", "django", "structlog", "genai_prices", "uvicorn"},
    "visionality.web.accounts.links": {"asyncpg", "django", "structlog", "genai_prices", "uvicorn"},
    "visionality.gateway.app": {"psycopg", "django", "genai_prices", "pydantic"},
    "visionality.vault.installation": {"psycopg", "asyncpg", "django", "genai_prices", "pydantic"},
    "visionality.evidence.witnessing": {"psycopg", "asyncpg", "asyncio", "django", "structlog", "genai_prices"},
    "visionality.jobs.app": {"django", "genai_prices", "pydantic"},
    "visionality.sandbox.app": {"psycopg", "asyncpg", "django", "structlog", "cryptography", "genai_prices"},
}  # fmt: skip


@pytest.mark.parametrize(("module", "others"), LOADS.items(), ids=LOADS)
def test_a_process_does_not_load_what_it_does_not_need_to_start(module, others):
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert others & set(loaded.stdout.split()) == set()
