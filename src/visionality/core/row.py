"""The ledger row as a value: one call, from its draft at admission to its last column.

Columns carry the names of the table `vis.request_logs` and stand in its order. `id`, `created_at` and the writer's
numbers are given when the row is made final; a draft travels in the hold, so that a crash can be written up.
"""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

NIL = UUID(int=0)
UNSET_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class Row(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One row of `vis.request_logs`. Money in nano-USD, durations in milliseconds."""

    org_id: UUID
    created_at: datetime = UNSET_TIME
    id: UUID = NIL
    writer_no: int = 0
    wseq: int = 0
    entry: str = "call"
    request_id: UUID
    attempt: int = 1
    corrects: UUID | None = None
    source: str = "gateway"

    agent_sub: str | None = None
    agent_owner: str | None = None
    sso_sub: str | None = None
    team_id: str | None = None
    key_id: UUID | None = None
    spend_token_id: str | None = None
    caller: str | None = None

    project_id: str | None = None
    customer_id: str | None = None
    task_id: str | None = None
    epic_id: str | None = None
    task_class: str | None = None
    repo: str | None = None
    branch: str | None = None
    commit_sha: str | None = None
    pr_url: str | None = None
    cost_center: str | None = None
    gl_code: str | None = None
    memo: str | None = None
    url: str | None = None
    attribution_level: int | None = None
    confidence: int | None = None
    resolver_version: int | None = None

    provider: str
    dialect: str
    model_family: str | None = None
    model_requested: str | None = None
    model_used: str | None = None
    served_tier: str | None = None
    upstream_request_id: str | None = None

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    usage: dict[str, int] | None = None
    raw_usage: str | None = None
    usage_source: str = "none"

    currency: str = "USD"
    cost_nusd: int = 0
    billed_nusd: int = 0
    price_state: str = "free"
    price_version: int | None = None
    rates: dict[str, str] | None = None

    decision: str = "allowed"
    reason: str | None = None
    status_code: int = 0
    binding_status: str = "not_required"
    policy_revision: int | None = None
    pii: dict[str, int] | None = None
    finish: str | None = None

    latency_ms: int | None = None
    ttft_ms: int | None = None
    request_sha256: bytes | None = None
    tags: dict[str, str] | None = None


COLUMNS: tuple[str, ...] = Row.__struct_fields__
"""Every column but `leaf_hash`, in the table's order."""


_encode_draft = msgspec.json.Encoder().encode
_decode_draft = msgspec.json.Decoder(Row).decode


def draft_text(row: Row) -> str:
    """What is known of a row before its call left, as the hold keeps it."""
    return _encode_draft(row).decode()


def from_draft(text: str) -> Row:
    return _decode_draft(text)
