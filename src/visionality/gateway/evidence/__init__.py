"""What a request says about the work it is for, read by one file per client (docs/reference/attribution.md)."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from visionality.core.call import Headers
from visionality.gateway.evidence import (
    aider,
    claude_code,
    cline,
    codex,
    continue_cli,
    copilot_chat,
    copilot_cli,
    cursor,
    explicit,
    gemini_cli,
    kilo,
    mistral_vibe,
    opencode,
    qwen_code,
)
from visionality.gateway.evidence.said import Found, Said, heard

__all__ = ["CLIENTS", "Found", "Said", "found", "heard", "read"]

CLIENTS = (
    claude_code,
    codex,
    copilot_cli,
    copilot_chat,
    cursor,
    gemini_cli,
    kilo,
    opencode,
    mistral_vibe,
    qwen_code,
    cline,
    continue_cli,
    aider,
)
"""Those that a header tells before those that only their instructions tell."""
_NOBODY = Found()


def read(headers: Headers, document: Mapping[str, Any], path: str) -> Found:
    """Which client it is and all that it said: what is declared first, then what the client's reader finds."""
    return found(heard(headers, document, path))


def found(request: Said) -> Found:
    """The same of a request whose parts are taken out already."""
    by_client = _by_client(request) or _NOBODY
    declared = explicit.read(request)
    return replace(by_client, evidence=declared + by_client.evidence) if declared else by_client


def _by_client(request: Said) -> Found | None:
    one: Found | None
    for client in CLIENTS:
        one = client.read(request)
        if one is not None:
            return one
    return None
