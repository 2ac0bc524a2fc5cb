"""What the operator sets, read from `VIS_*` once at start, checked whole, and passed in.

Nothing imports settings as a global and nothing reads the environment later. What an organisation chooses is a row
in the database, not a setting. Every field below is described in docs/reference/settings.md.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any


class BadSettings(Exception):
    """One or more settings cannot be used; the message lists all of them."""


MOST_WORKERS = 64
_BY_ITSELF = 8
"""Workers that are started without being asked for: more would crowd out the database beside them."""


def _one_for_each_core() -> int:
    return min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _BY_ITSELF
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Seconds unless a name says otherwise."""

    data_dir: Path = Path(".visionality")
    database_url: str | None = None
    pooler_url: str | None = None
    postgres_bin: Path | None = None
    gateway_port: int = 8700
    gateway_workers: int = field(default_factory=_one_for_each_core)
    web_port: int = 8701
    jobs_port: int = 8702
    master_key: str | None = None
    key_provider: str | None = None
    public_url: str | None = None
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
    metrics_token: str | None = None
    smtp_url: str | None = None
    mail_from: str = "visionality@localhost"
    burn_every: float = 60.0
    heads_dir: Path | None = None
    heads_bucket: str | None = None
    heads_mail: frozenset[str] | None = None


def from_environment(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from `VIS_*`; what is given by keyword (and is not None) wins.

    Raises BadSettings naming every value that cannot be read.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    for one in fields(Settings):
        if given.get(one.name) is not None:
            found[one.name] = given[one.name]
        elif text := environ.get(name := f"VIS_{one.name.upper()}"):
            try:
                found[one.name] = _readers[one.name](text)
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


def _pooler(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("expected an address such as postgresql://pgbouncer.internal:6432/vis")
    return text


def _origin(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s@?#]+/?", text):
        raise ValueError("expected an address without a path, such as https://spend.example.com")
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


def _mailboxes(text: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    for mailbox in found:
        if not re.fullmatch(r"[^@\s,]+@[^@\s,]+", mailbox):
            raise ValueError("expected addresses such as audit@example.com, with commas between them")
    return found


_OPTION = r"(?:region=[a-z0-9-]+|endpoint=https?://[^/\s?&#@]+)"
_BUCKET = re.compile(rf"s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](?:/[\w./-]*)?(?:\?{_OPTION}(?:&{_OPTION})?)?")


def _bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text):
        raise ValueError("expected s3://bucket/prefix[?region=eu-central-1&endpoint=https://…]")
    return text


_readers: dict[str, Callable[[str], Any]] = {
    "data_dir": Path,
    "database_url": str,
    "pooler_url": _pooler,
    "postgres_bin": Path,
    "gateway_port": _port,
    "gateway_workers": _whole,
    "web_port": _port,
    "jobs_port": _port,
    "master_key": str,
    "key_provider": str,
    "public_url": _origin,
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
    "metrics_token": str,
    "burn_every": _seconds,
    "heads_dir": Path,
    "heads_bucket": _bucket,
    "heads_mail": _mailboxes,
}


def _out_of_range(found: Mapping[str, Any]) -> list[str]:
    mistakes = []
    for name, value in found.items():
        if name.endswith("_port") and not 0 <= value <= 65535:
            mistakes.append(f"VIS_{name.upper()}={value}: expected a port from 0 to 65535")
        elif name == "gateway_workers" and not 1 <= value <= MOST_WORKERS:
            mistakes.append(f"VIS_GATEWAY_WORKERS={value}: expected 1 to {MOST_WORKERS}")
        elif name == "binding_skew" and not 15 <= value <= 300:
            mistakes.append(f"VIS_BINDING_SKEW={value:g}: expected 15 to 300 seconds")
        elif name == "trusted_hops" and not 0 <= value <= 10:
            mistakes.append(f"VIS_TRUSTED_HOPS={value}: expected 0 to 10")
        elif name == "metrics_token" and not re.fullmatch(r"[!-~]{16,200}", value):
            mistakes.append("VIS_METRICS_TOKEN: expected 16 to 200 printable characters without spaces")
        elif isinstance(value, (int, float)) and not name.endswith(("_port", "_hops")) and value <= 0:
            mistakes.append(f"VIS_{name.upper()}={value}: expected more than 0")
    return mistakes
