"""What the operator sets, read from `VIS_*` once at start, checked whole, and passed in.

Nothing imports settings as a global and nothing reads the environment later. What an organisation chooses is a row
in the database, not a setting. Every field below is described in docs/reference/settings.md.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any


class BadSettings(Exception):
    """One or more settings cannot be used; the message lists all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Seconds unless a name says otherwise."""

    data_dir: Path = Path(".visionality")
    database_url: str | None = None
    postgres_bin: Path | None = None
    gateway_port: int = 8700
    web_port: int = 8701
    jobs_port: int = 8702
    master_key: str | None = None
    key_provider: str | None = None
    sandbox_url: str | None = None
    max_body_bytes: int = 32 * 1024 * 1024
    body_timeout: float = 60.0
    connect_timeout: float = 10.0
    idle_timeout: float = 300.0
    call_timeout: float = 3600.0
    commit_wait: float = 5.0
    snapshot_max_age: float = 2.0
    fence_after: float = 30.0
    drain_seconds: float = 30.0
    drain_at_once: int = 64
    batch_poll: float = 30.0
    binding_skew: float = 60.0
    trusted_hops: int = 0
    card_origins: frozenset[str] | None = None
    smtp_url: str | None = None
    mail_from: str = "visionality@localhost"
    burn_every: float = 60.0


def from_environment(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from `VIS_*`; what is given by keyword (and is not None) wins.

    Raises BadSettings naming every value that cannot be read.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    for field in fields(Settings):
        if given.get(field.name) is not None:
            found[field.name] = given[field.name]
        elif text := environ.get(name := f"VIS_{field.name.upper()}"):
            try:
                found[field.name] = _readers[field.name](text)
            except ValueError as error:
                mistakes.append(f"{name}={text!r}: {error}")
    mistakes += _out_of_range(found)
    if mistakes:
        raise BadSettings("these settings cannot be used:\n  " + "\n  ".join(mistakes))
    settings = Settings(**found)
    return replace(settings, data_dir=settings.data_dir.expanduser().absolute())


def _port(text: str) -> int:
    return _whole(text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("expected a whole number") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError("expected a number of seconds") from None
    if not math.isfinite(seconds):
        raise ValueError("expected a number of seconds")
    return seconds


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("expected an address that starts with http:// or https://")
    return text.rstrip("/")


def _mail_server(text: str) -> str:
    if not re.match(r"smtps?://[^/\s]+", text):
        raise ValueError("expected an address such as smtp://user:password@mail.example.com:587")
    return text


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if not re.fullmatch(r"https?://[^/\s]+", origin):
            raise ValueError("expected origins such as https://app.example.com, with commas between them")
    return origins


_readers: dict[str, Callable[[str], Any]] = {
    "data_dir": Path,
    "database_url": str,
    "postgres_bin": Path,
    "gateway_port": _port,
    "web_port": _port,
    "jobs_port": _port,
    "master_key": str,
    "key_provider": str,
    "sandbox_url": _url,
    "max_body_bytes": _whole,
    "body_timeout": _seconds,
    "connect_timeout": _seconds,
    "idle_timeout": _seconds,
    "call_timeout": _seconds,
    "commit_wait": _seconds,
    "snapshot_max_age": _seconds,
    "fence_after": _seconds,
    "drain_seconds": _seconds,
    "drain_at_once": _whole,
    "batch_poll": _seconds,
    "binding_skew": _seconds,
    "trusted_hops": _whole,
    "card_origins": _origins,
    "smtp_url": _mail_server,
    "mail_from": str,
    "burn_every": _seconds,
}


def _out_of_range(found: Mapping[str, Any]) -> list[str]:
    mistakes = []
    for name, value in found.items():
        if name.endswith("_port") and not 0 <= value <= 65535:
            mistakes.append(f"VIS_{name.upper()}={value}: expected a port from 0 to 65535")
        elif name == "binding_skew" and not 15 <= value <= 300:
            mistakes.append(f"VIS_BINDING_SKEW={value:g}: expected 15 to 300 seconds")
        elif name == "trusted_hops" and not 0 <= value <= 10:
            mistakes.append(f"VIS_TRUSTED_HOPS={value}: expected 0 to 10")
        elif isinstance(value, (int, float)) and not name.endswith(("_port", "_hops")) and value <= 0:
            mistakes.append(f"VIS_{name.upper()}={value}: expected more than 0")
    return mistakes
