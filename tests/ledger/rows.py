"""A smallest row of each audit table, for tests that need one there."""

from datetime import datetime
from uuid import UUID

import psycopg

from visionality.runtime.ids import uuid7

WRITERS = {
    "request_logs": ["vis_writer"],
    "budget_events": ["vis_writer"],
    "key_events": ["vis_web", "vis_jobs", "vis_writer"],
    "admin_events": ["vis_web", "vis_jobs"],
    "seals": ["vis_sealer"],
    "scope_runs": ["vis_sealer"],
    "scope_segments": ["vis_sealer"],
    "evidence_packs": ["vis_web"],
}


def smallest(  # noqa: PLR0911 -- one for each table
    table: str, org_id: UUID, at: datetime, seal_no: int = 1
) -> dict[str, object]:
    """Only what the table insists on."""
    row = {"org_id": org_id, "created_at": at, "id": uuid7(), "leaf_hash": bytes(32)}
    written = {"writer_no": 1, "wseq": 1}
    listed = {"seq": 1, "kind": "made", "actor": "somebody"}
    tokens = dict.fromkeys(
        ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"), 0
    )
    match table:
        case "request_logs":
            call = {"entry": "call", "request_id": uuid7(), "attempt": 1, "source": "gateway"}
            money = {"currency": "USD", "cost_nusd": 1, "billed_nusd": 1, "price_state": "known"}
            made = {
                "provider": "p",
                "dialect": "d",
                "usage_source": "none",
                "decision": "allowed",
                "status_code": 200,
            }
            return row | written | call | tokens | money | made | {"binding_status": "not_required"}
        case "budget_events":
            return row | written | {"kind": "reserve", "windows": [], "amount_nusd": 1}
        case "seals":
            head = {"org_id": org_id, "log": "request_logs", "seal_no": seal_no, "sealed_at": at}
            blank = dict.fromkeys(("root", "frontier", "row_ids", "leaf_hashes"), b"")
            numbers = {"first_index": seal_no, "tree_size": seal_no}
            return head | blank | numbers | {"cursors": "{}", "key_id": "k", "note": "n"}
        case "scope_runs":
            numbers = {"first_seq": seal_no, "last_seq": seal_no, "segment_no": 1, "seal_no": seal_no}
            span = {"first_at": at, "last_at": at}
            return {"org_id": org_id, "project_id": "P", **numbers, **span, "row_ids": bytes(16)}
        case "scope_segments":
            numbers = {"segment_no": seal_no, "leaf_index": seal_no, "first_seq": 1, "last_seq": 0}
            segment = {"id": uuid7(), "closed_at": at, "header": b"{}", "leaf_hash": bytes(32)}
            return {"org_id": org_id, "project_id": "P", **numbers, **segment}
        case "evidence_packs":
            about = {
                "scope_kind": "project",
                "scope_name": "P",
                "projects": ["P"],
                "first_day": at,
                "last_day": at,
            }
            counts = {"rows": "none", "row_count": 0, "size": 1, "checkpoint_size": 1, "checkpoint": "n"}
            made = {"org_id": org_id, "pack_id": uuid7(), "made_at": at, "made_by": "somebody"}
            return {**made, **about, **counts, "fingerprint": bytes(32), "summary": "{}"}
    return row | listed


def insert(connection: psycopg.Connection, table: str, row: dict[str, object]) -> None:
    columns, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    connection.execute(f"insert into vis.{table} ({columns}) values ({marks})", row)
