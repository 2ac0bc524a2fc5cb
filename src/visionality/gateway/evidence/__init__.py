"""What a request says about the work it is for, read by one file per client (docs/reference/attribution.md)."""

from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
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
from visionality.gateway.evidence.said import HEADS, Found, Said, Told, heard

__all__ = ["CLIENTS", "Found", "Said", "found", "heard", "read"]

_BY_HEADERS = (
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
)
_BY_INSTRUCTIONS = (cline, continue_cli, aider)
CLIENTS = (*_BY_HEADERS, *_BY_INSTRUCTIONS[1:])
"""Those that a header tells before those that only their instructions tell; Cline is told by either."""
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
    client = _sender(request.told)
    if client is not None:
        one = client.read(request)
        return one
    for client in _BY_INSTRUCTIONS if request.system else ():
        one = client.read(request)
        if one is not None:
            return one
    return None


@lru_cache(HEADS)
def _sender(told: Told) -> ModuleType | None:
    """The reader of the client that a head is known by."""
    return next((client for client in _BY_HEADERS if client.sends(told)), None)
