"""A smallest row in each control table, tied together as one organisation."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Json

from visionality.runtime.ids import uuid7

ONLY_GROW = (
    "organisation_key",
    "price_override",
    "markup",
    "cost_split",
    "service",
    "revoked_token",
    "mapping_file",
    "agent_identity_period",
    "correction_order",
)
"""Tables that take no UPDATE and no DELETE from an application role."""


def rows_of(org_id: UUID, slug: str) -> dict[str, dict[str, Any]]:
    """One row a table, in an order in which they can be inserted."""
    ids = {
        name: uuid7()
        for name in (
            "customer",
            "team",
            "project",
            "person",
            "agent",
            "kek",
            "credential",
            "key",
            "price",
            "budget",
            "markup",
            "split",
            "hint",
            "limit",
            "channel",
            "service",
            "binding",
            "signing",
            "revoked",
            "floor",
            "repo",
            "alias",
            "map",
            "period",
            "correction",
            "class_rule",
            "service_token",
        )
    }
    made = {"org_id": org_id, "created_at": "2026-01-01T00:00:00Z"}
    named = {**made, "key": slug, "name": slug.title()}
    blank = dict.fromkeys(("task_class", "memo", "url"), "")
    return {
        "organisation": {"id": org_id, "slug": slug, "name": slug.title(), "created_at": made["created_at"]},
        "person": {**made, "id": ids["person"], "sso_sub": f"alice@{slug}", "name": "Alice"},
        "end_customer": {**named, "id": ids["customer"]},
        "team": {**named, "id": ids["team"], "cost_center": "cc-1"},
        "project": {**named, "id": ids["project"], "customer_id": ids["customer"], "gl_code": ""},
        "agent_identity": {**made, "id": ids["agent"], "sub": f"agent@{slug}", "owner": "Alice", "team_id": ids["team"], "person_id": ids["person"]},
        "organisation_key": {**made, "id": ids["kek"], "generation": 1, "wrapped": b"w"},
        "provider_credential": {**made, "id": ids["credential"], "provider": "anthropic", "base_url": "https://a", "sealed": b"s", "on_abort": "drain", "organisation_key_id": ids["kek"], "retired_at": None},
        "price_override": {**made, "id": ids["price"], "version": 1, "provider": "p", "model": "m", "rates": Json({"in_text": "1"}), "effective_from": made["created_at"], "source": "list", "content_hash": bytes(32)},
        "service": {"id": ids["service"], "org_id": org_id, "key": slug, "x25519": bytes(32), "registered_by": "cli:alice", "registered_at": made["created_at"]},
        "virtual_key": {**blank, "id": ids["key"], "org_id": org_id, "handle_hmac": ids["key"].bytes, "shown": "vis_abcd", "agent_id": ids["agent"], "project_id": ids["project"], "customer_id": None, "task_id": "ARC-1", "issued_at": made["created_at"], "expires_at": "2099-01-01T00:00:00Z", "revoked_at": None},
        "budget": {**made, "id": ids["budget"], "scope_kind": "project", "scope_value": slug, "period": "month", "cap_nusd": 2_500_000_000_000, "hard": True, "soft": Json([60, 80]), "near_cap": "refuse", "ceiling_nusd": None, "retired_at": None},
        "markup": {**made, "id": ids["markup"], "scope_kind": "customer", "scope_value": slug, "multiplier": "1.25", "effective_from": made["created_at"]},
        "cost_split": {**made, "id": ids["split"], "scope_kind": "project", "scope_value": slug, "parts": Json([{"cost_center": "cc-1", "gl_code": "", "share": "1"}]), "effective_from": made["created_at"]},
        "model_hint": {**made, "id": ids["hint"], "agent_sub": f"agent@{slug}", "project": "", "task_class": "refactor", "model_from": "claude-opus", "prefer": "claude-haiku-4-5", "retired_at": None},
        "rate_limit": {**made, "id": ids["limit"], "scope_kind": "key", "scope_value": "*", "requests_per_minute": 60, "tokens_per_minute": None, "retired_at": None},
        "alert_channel": {**made, "id": ids["channel"], "kind": "email", "target": f"finance@{slug}.example", "retired_at": None},
        "binding_key": {"id": ids["binding"], "org_id": org_id, "service_id": ids["service"], "organisation_key_id": ids["kek"], "sealed": b"b", "thumbprint": b"t" * 32, "made_at": made["created_at"], "retires_at": None, "revoked_at": None},
        "signing_key": {"id": ids["signing"], "org_id": org_id, "organisation_key_id": ids["kek"], "public": b"p" * 32, "sealed": b"s", "made_at": made["created_at"], "active_from": made["created_at"], "active_until": None, "verify_until": None, "revoked_at": None},
        "revoked_token": {"id": ids["revoked"], "org_id": org_id, "jti": ids["revoked"], "until": "2099-01-01T00:00:00Z", "revoked_at": made["created_at"]},
        "mapped_repo": {"id": ids["repo"], "org_id": org_id, "repo": f"bitbucket.org/{slug}/billing", "name": "billing", "project_id": ids["project"], "customer_id": None, "default_epic": "ARC-100", "branch_pattern": ""},
        "project_alias": {"id": ids["alias"], "org_id": org_id, "alias": f"{slug}X", "project_id": ids["project"]},
        "service_token": {"id": ids["service_token"], "org_id": org_id, "token_hmac": ids["service_token"].bytes, "shown": "visa_abcd", "scopes": Json(["identities:write"]), "issued_by": "cli:alice", "issued_at": made["created_at"], "expires_at": "2099-01-01T00:00:00Z", "revoked_at": None},
        "task_class_rule": {"id": ids["class_rule"], "org_id": org_id, "number": 1, "task_class": "billing-review", "client": "claude-code", "tool": "create_*", "model": "", "path": "", "system_starts": "", "headers": Json({"x-vis-team": slug})},
        "mapping_file": {"id": ids["map"], "org_id": org_id, "version": 1, "content": b"version: 1", "sha256": bytes(32), "applied_by": "cli:alice", "applied_at": made["created_at"]},
        "agent_identity_period": {"id": ids["period"], "org_id": org_id, "agent_id": ids["agent"], "owner": "Alice", "team_id": ids["team"], "cost_center": "", "gl_code": "", "valid_from": made["created_at"], "made_at": made["created_at"], "announced_at": None},
        "correction_order": {"id": ids["correction"], "org_id": org_id, "author": "cli:alice", "reason": "wrong", "project_id": ids["project"], "customer_id": None, "task_id": "ARC-2", "epic_id": "", "repo": "", "branch": "", "level": 8, "confidence": 100, "rows": Json([]), "made_at": made["created_at"]},
        "floor_request": {"id": ids["floor"], "org_id": org_id, "project_id": ids["project"], "from_level": 3, "to_level": 2, "requested_by": "cli:alice", "requested_at": made["created_at"], "decided_by": "", "decided_at": None, "approved": None},
    }  # fmt: skip


CONNECTING = (
    "connector",
    "connector_secret",
    "connector_run",
    "tracked_project",
    "tracked_issue",
    "tracked_repository",
    "tracked_branch",
    "pull_request",
    "pull_request_commit",
)
"""Tables of what was read from others, which moves no organisation's revision (tests/contracts/test_connecting.py)."""

ENTERING = ("membership", "invitation", "sign_on")
"""Tables of who may enter an organisation, which moves no revision: gateways do not read them (tests/contracts/test_entering.py)."""

OF_A_PERSON = (
    "account_user",
    "account_emailaddress",
    "account_emailconfirmation",
    "mfa_authenticator",
    "usersessions_usersession",
    "socialaccount_socialapp",
    "socialaccount_socialaccount",
    "socialaccount_socialtoken",
)
"""Tables that belong to an account and not to one organisation."""

TABLES = tuple(rows_of(uuid7(), "x"))
"""Every control table that the data plane depends on."""


def insert(connection: psycopg.Connection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join(f"%({name})s" for name in row)
    connection.execute(f"insert into vis_control.{table} ({', '.join(row)}) values ({marks})", row)


def insert_all(connection: psycopg.Connection, org_id: UUID, slug: str) -> dict[str, dict[str, Any]]:
    """One organisation with a row in every control table."""
    rows = rows_of(org_id, slug)
    for table, row in rows.items():
        insert(connection, table, row)
    return rows
