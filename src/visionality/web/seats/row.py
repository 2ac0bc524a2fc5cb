"""One row in full: every column, the price done again, and its leaf hash made again."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.chargeback.coverage import LEVELS
from visionality.chargeback.pull_requests import PullRequest, pull_requests_of
from visionality.core.canonical import leaf_hash, timestamp
from visionality.core.pricing import stated_by
from visionality.ledger import reader
from visionality.ledger.reader import Record
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.reading import reading
from visionality.web.seats.arithmetic import Arithmetic, arithmetic
from visionality.web.seats.figures import counted, duration
from visionality.web.seats.lines import Line, line

GROUPS: dict[str, tuple[str, ...]] = {
    "Who": ("agent_sub", "agent_owner", "sso_sub", "team", "key_id", "spend_token_id", "caller"),
    "For what": (
        *(
            "project_id",
            "task",
            "epic_id",
            "task_class",
            "customer_id",
            "cost_center",
            "gl_code",
            "memo",
            "url",
        ),
        *("repo", "branch", "commit_sha", "pr_url", "attribution_level", "confidence", "resolver_version"),
    ),
    "Model": (
        *("provider", "dialect", "model_requested", "model_used", "model_family", "served_tier"),
        *("upstream_request_id",),
    ),
    "Usage": (
        *("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"),
        *("usage_source", "usage", "raw_usage"),
    ),
    "Money": ("currency", "cost_usd", "billed_usd", "price_state", "price_version", "rates"),
    "Decision": ("decision", "reason", "status_code", "binding_status", "policy_revision", "pii", "finish"),
    "Timing": ("created_at", "latency_ms", "ttft_ms"),
    "Proof": (
        *("id", "org_id", "entry", "request_id", "attempt", "corrects", "source", "writer_no", "wseq"),
        *("request_sha256", "tags", "leaf_hash"),
    ),
}
"""Every column of `reader.shown`, once."""

_FILTERS = {
    "agent_sub": "agent",
    "agent_owner": "owner",
    "sso_sub": "person",
    "team": "team",
    "key_id": "key",
    "project_id": "project",
    "task": "task",
    "epic_id": "epic",
    "task_class": "class",
    "customer_id": "customer",
    "cost_center": "cost_center",
    "gl_code": "gl",
    "repo": "repo",
    "branch": "branch",
    "provider": "provider",
    "model_used": "model",
    "model_family": "family",
    "decision": "decision",
    "reason": "reason",
    "binding_status": "binding",
    "entry": "entry",
    "source": "source",
}
"""Columns whose value leads to all rows that have it, and the selector for that."""
_COUNTS = frozenset(GROUPS["Usage"][:5])
_LINKS = frozenset({"url", "pr_url"})


@dataclass(frozen=True, slots=True)
class Field:
    """One column. `link` is set when the value is a web address, `rows` where it leads to the rows that have it too."""

    column: str
    value: str
    link: str = ""
    rows: str = ""

    @property
    def name(self) -> str:
        return self.column.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Correction:
    """One row of a correction: an amount that is taken off a booking, or put on one."""

    line: Line
    customer: str
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as its page shows it."""

    line: Line
    groups: list[tuple[str, list[Field]]]
    evidence: list[tuple[str, str]]
    """What led to the project, in words."""
    arithmetic: Arithmetic | None
    stated_by: str | None
    """Who stated the cost, where it is no sum."""
    hash_agrees: bool
    corrections: list[Correction]
    pull_request: PullRequest | None
    """That its Git host knows; the row itself may name one."""


@for_roles()
@require_safe
def page(request: HttpRequest, row_id: UUID) -> HttpResponse:
    """The row with this id, or all rows of the call with this request id."""
    member = member_of(request)
    with reading(member.org_id) as connection:
        found = reader.one(connection, member.org_id, row_id)
        rows = [row for row in found if row["entry"] != "correction" or row["id"] == row_id]
        corrections = reader.corrections(connection, member.org_id, [row["id"] for row in rows])
        pulls = pull_requests_of(connection, member.org_id, rows)
    if not rows:
        raise Http404
    entries = [entry(row, corrections.get(row["id"], ()), pulls.get(row["id"])) for row in rows]
    return render(request, "row.html", {"entries": entries})


def entry(row: Record, corrections: Iterable[Record] = (), pull_request: PullRequest | None = None) -> Entry:
    columns = reader.shown(row)
    groups = [(title, [_field(name, columns[name]) for name in names]) for title, names in GROUPS.items()]
    return Entry(
        line(row),
        groups,
        _evidence(row),
        arithmetic(row),
        stated_by(row["rates"]),
        _hash_agrees(row),
        [_correction(one) for one in corrections],
        pull_request,
    )


def _correction(row: Record) -> Correction:
    return Correction(line(row), row["customer_id"] or "", row["tags"]["author"], row["tags"]["reason"])


def _hash_agrees(row: Record) -> bool:
    """Whether the row, read back, still hashes to the leaf that was stored with it."""
    stored: bytes = row["leaf_hash"]
    return leaf_hash({name: value for name, value in row.items() if name != "leaf_hash"}) == stored


def _evidence(row: Record) -> list[tuple[str, str]]:
    """What the resolver went by (docs/reference/attribution.md); lines that have nothing to say are left out."""
    tags: dict[str, str] = row["tags"] or {}
    level = row["attribution_level"]
    said = [
        ("Project found by", f"{LEVELS.get(level, 'evidence')}, level {level}" if level else ""),
        ("Confidence", f"{row['confidence']} of 100" if row["confidence"] is not None else ""),
        ("Client", tags.get("client", "")),
        ("Evidence disagreed", tags.get("attribution_conflict", "")),
        ("Claimed and not allowed", tags.get("project_denied", "")),
        ("SHA-256 of all evidence", tags.get("evidence", "")),
    ]
    return [(name, text) for name, text in said if text]


def _field(column: str, value: Any) -> Field:
    text = _written(column, value)
    is_address = column in _LINKS and text.startswith(("https://", "http://"))
    rows = "?" + urlencode({_FILTERS[column]: text}) if text and column in _FILTERS else ""
    return Field(column, text, text if is_address else "", rows)


def _written(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column == "created_at":
        return timestamp(value)
    if column in _COUNTS:
        return counted(value)
    if column in {"latency_ms", "ttft_ms"}:
        return duration(value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
