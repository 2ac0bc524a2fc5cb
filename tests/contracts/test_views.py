"""The versioned views are what the planes agree on: columns get added, never changed. A change here is a decision."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from contracts.control import insert_all
from visionality.jobs.periods import begin
from visionality.runtime.ids import uuid7

TIME = "timestamp with time zone"

VIEWS = {
    "access_keys_v1": {
        "org_id": "uuid", "key_id": "uuid", "agent_sub": "character varying(255)", "person_id": "uuid", "has_person": "boolean",
        "level": "smallint", "floor": "integer", "issued_at": TIME, "rotated_at": TIME, "expires_at": TIME, "revoked_at": TIME,
        "org_epoch": "integer", "person_epoch": "integer", "org_epoch_now": "integer", "person_epoch_now": "integer",
        "is_capped": "boolean",
    },
    "access_members_v1": {
        "org_id": "uuid", "member_id": "uuid", "roles": "jsonb", "state": "character varying(10)", "joined_at": TIME,
        "has_subject": "boolean", "has_second_factor": "boolean",
    },
    "alert_channels_v1": {
        "org_id": "uuid", "channel_id": "uuid", "kind": "character varying(20)", "target": "character varying(400)",
    },
    "all_splits_v1": {
        "org_id": "uuid", "split_id": "uuid", "scope_kind": "character varying(20)", "scope_value": "character varying(80)",
        "parts": "jsonb", "effective_from": TIME,
    },
    "applied_migrations_v1": {"migration": "text", "applied_at": TIME},
    "binding_keys_v1": {
        "org_id": "uuid", "binding_key_id": "uuid", "service_id": "uuid", "thumbprint": "bytea", "sealed": "bytea",
        "kek_id": "uuid", "generation": "integer", "wrapped": "bytea", "retires_at": TIME, "revoked_at": TIME,
    },
    "budgets_v1": {
        "org_id": "uuid", "budget_id": "uuid", "scope_kind": "character varying(20)", "scope_value": "character varying(255)",
        "period": "character varying(10)", "cap_nusd": "bigint", "hard": "boolean", "soft": "integer[]",
        "near_cap": "character varying(10)", "ceiling_nusd": "bigint", "created_at": TIME,
    },
    "correction_orders_v1": {
        "org_id": "uuid", "correction_id": "uuid", "author": "character varying(200)", "reason": "character varying(400)",
        "project_id": "character varying(80)", "customer_id": "character varying(80)",
        "project_customer_id": "character varying(80)", "gl_code": "text", "business_unit": "text", "task_id": "text",
        "epic_id": "text", "repo": "text", "branch": "text", "level": "smallint", "confidence": "smallint", "rows": "jsonb",
        "made_at": TIME,
    },
    "customers_v1": {"org_id": "uuid", "customer_id": "character varying(80)"},
    "decided_v1": {"org_id": "uuid", "kind": "text", "name": "text", "made_at": TIME},
    "destinations_v1": {
        "org_id": "uuid", "kind": "text", "destination_id": "uuid", "host": "text", "is_encrypted": "boolean", "since": TIME,
        "until": TIME,
    },
    "hints_v1": {
        "org_id": "uuid", "hint_id": "uuid", "agent_sub": "character varying(255)", "project": "character varying(80)",
        "task_class": "character varying(40)", "model_from": "character varying(200)", "prefer": "character varying(200)",
        "created_at": TIME,
    },
    "hooks_v1": {"connector_id": "uuid", "org_id": "uuid", "kind": "character varying(20)"},
    "issues_v1": {"org_id": "uuid", "key": "text", "epic_key": "text", "is_current": "boolean"},
    "kept_secrets_v1": {
        "org_id": "uuid", "kind": "text", "secret_id": "uuid", "made_at": TIME, "ends_at": TIME, "revoked_at": TIME,
        "is_sealed": "boolean",
    },
    "keys_v1": {
        "org_id": "uuid", "key_id": "uuid", "handle_hmac": "bytea", "expires_at": TIME, "revoked_at": TIME,
        "agent_sub": "character varying(255)", "agent_owner": "character varying(200)", "sso_sub": "character varying(255)",
        "team_id": "character varying(80)", "cost_center": "text", "project_id": "character varying(80)", "gl_code": "text",
        "customer_id": "character varying(80)", "task_id": "text", "task_class": "text", "memo": "text", "url": "text",
        "passthrough": "jsonb", "business_unit": "text", "previous_hmac": "bytea", "previous_until": TIME,
        "rotation": "integer", "level": "smallint", "scopes": "text[]", "models": "text[]", "providers": "text[]",
        "networks": "text[]", "callers": "text[]", "service_id": "uuid", "org_epoch": "integer", "person_epoch": "integer",
        "person_epoch_now": "integer", "projects": "text[]",
    },
    "markups_v1": {
        "org_id": "uuid", "markup_id": "uuid", "scope_kind": "character varying(20)", "scope_value": "character varying(80)",
        "multiplier": "numeric(10,6)", "effective_from": TIME,
    },
    "orgs_v1": {
        "org_id": "uuid", "slug": "character varying(60)", "name": "character varying(200)", "time_zone": "character varying(60)",
        "level_floor": "smallint", "epoch": "integer", "denied_project": "character varying(10)",
    },
    "own_org_v1": {
        "org_id": "uuid", "slug": "character varying(60)", "name": "character varying(200)", "time_zone": "character varying(60)",
    },
    "prices_v1": {
        "org_id": "uuid", "version": "integer", "provider": "character varying(60)", "model": "character varying(200)",
        "rates": "jsonb", "effective_from": TIME, "source": "character varying(200)",
    },
    "project_aliases_v1": {
        "org_id": "uuid", "alias": "character varying(80)", "project_id": "character varying(80)",
    },
    "projects_v1": {
        "org_id": "uuid", "project_id": "character varying(80)", "customer_id": "character varying(80)", "gl_code": "text",
        "business_unit": "text", "passthrough": "jsonb", "level_floor": "smallint",
    },
    "providers_v1": {
        "org_id": "uuid", "credential_id": "uuid", "provider": "character varying(60)", "base_url": "character varying(400)",
        "on_abort": "character varying(10)", "sealed": "bytea", "generation": "integer", "wrapped": "bytea", "kek_id": "uuid",
        "options": "jsonb",
    },
    "pull_requests_v1": {
        "org_id": "uuid", "remote": "text", "number": "integer", "title": "text", "url": "text", "state": "text",
        "source_branch": "text", "merge_commit": "text", "commits": "text[]", "created_at": TIME, "merged_at": TIME,
        "updated_at": TIME,
    },
    "rate_limits_v1": {
        "org_id": "uuid", "limit_id": "uuid", "scope_kind": "character varying(20)", "scope_value": "character varying(255)",
        "requests_per_minute": "integer", "tokens_per_minute": "integer", "created_at": TIME,
    },
    "repos_v1": {
        "org_id": "uuid", "repo": "character varying(400)", "name": "character varying(200)",
        "project_id": "character varying(80)", "customer_id": "character varying(80)", "default_epic": "text",
        "branch_pattern": "text",
    },
    "revoked_tokens_v1": {"org_id": "uuid", "jti": "uuid", "until": TIME},
    "schema_migrations_v1": {"migration": "text"},
    "signing_keys_v1": {
        "org_id": "uuid", "signing_key_id": "uuid", "public": "bytea", "sealed": "bytea", "kek_id": "uuid",
        "generation": "integer", "wrapped": "bytea", "active_from": TIME, "active_until": TIME, "verify_until": TIME,
        "revoked_at": TIME,
    },
    "splits_v1": {
        "org_id": "uuid", "split_id": "uuid", "scope_kind": "character varying(20)", "scope_value": "character varying(80)",
        "parts": "jsonb", "effective_from": TIME,
    },
    "switched_on_v1": {
        "org_id": "uuid", "has_sign_on": "boolean", "has_soft_cap": "boolean", "has_channel": "boolean",
    },
    "task_class_rules_v1": {
        "org_id": "uuid", "number": "integer", "task_class": "character varying(40)", "client": "character varying(60)",
        "tool": "character varying(80)", "model": "character varying(200)", "path": "character varying(200)",
        "system_starts": "character varying(200)", "headers": "jsonb",
    },
    "trackers_v1": {"org_id": "uuid", "revision": "text"},
}  # fmt: skip

EVERYBODY = {"vis_writer", "vis_web", "vis_jobs", "vis_reader", "vis_auditor", "vis_sealer"}
AUDITORS = {"vis_reader", "vis_auditor"}
READERS = {
    "access_keys_v1": AUDITORS,
    "access_members_v1": AUDITORS,
    "alert_channels_v1": {"vis_jobs"},
    "all_splits_v1": {"vis_sealer"},
    "applied_migrations_v1": AUDITORS,
    "binding_keys_v1": {"vis_writer"},
    "budgets_v1": {"vis_writer", "vis_jobs"},
    "correction_orders_v1": {"vis_writer", "vis_jobs"},
    "customers_v1": {"vis_writer"},
    "decided_v1": AUDITORS,
    "destinations_v1": AUDITORS,
    "hints_v1": {"vis_writer"},
    "hooks_v1": {"vis_web"},
    "issues_v1": {"vis_writer", "vis_reader"},
    "kept_secrets_v1": AUDITORS,
    "keys_v1": {"vis_writer"},
    "markups_v1": {"vis_writer"},
    "orgs_v1": EVERYBODY - {"vis_reader"},
    "own_org_v1": EVERYBODY - {"vis_writer", "vis_sealer"},
    "prices_v1": {"vis_writer"},
    "project_aliases_v1": {"vis_writer"},
    "projects_v1": {"vis_writer"},
    "providers_v1": {"vis_writer"},
    "pull_requests_v1": {"vis_writer", "vis_reader"},
    "rate_limits_v1": {"vis_writer"},
    "repos_v1": {"vis_writer"},
    "revoked_tokens_v1": {"vis_writer"},
    "schema_migrations_v1": EVERYBODY,
    "signing_keys_v1": {"vis_writer"},
    "splits_v1": {"vis_writer", "vis_jobs", "vis_reader"},
    "switched_on_v1": AUDITORS,
    "task_class_rules_v1": {"vis_writer"},
    "trackers_v1": {"vis_writer"},
}


def test_the_views_have_the_columns_and_types_that_were_agreed(database):
    with database.as_role("vis_super") as connection:
        found = connection.execute(
            """select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
                 from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                where c.relkind = 'v' and c.relnamespace = 'vis'::regnamespace order by c.relname, a.attnum"""
        ).fetchall()
    assert found == [
        (view, column, kind) for view, columns in VIEWS.items() for column, kind in columns.items()
    ]


def test_a_view_is_read_by_whom_it_was_made_for(database):
    with database.as_role("vis_super") as connection:
        found = connection.execute(
            """select c.relname, array_agg(r.rolname::text) from pg_class c join pg_roles r on r.rolname = any(%s)
                where c.relkind = 'v' and c.relnamespace = 'vis'::regnamespace and has_table_privilege(r.oid, c.oid, 'SELECT')
                group by 1""",
            [sorted(EVERYBODY)],
        ).fetchall()
    assert {view: set(readers) for view, readers in found} == READERS


@pytest.fixture
def arctrade(database) -> UUID:
    """An organisation with a row in every control table, beside another one."""
    for slug in ("other", "arctrade"):
        with database.as_role("vis_web", org_id := uuid7()) as connection:
            insert_all(connection, org_id, slug)
    return org_id


def test_an_empty_installation_has_one_organisation(database, org):
    with database.as_role("vis_writer") as connection:
        assert connection.execute("select * from vis.orgs_v1").fetchall() == [
            (org, "default", "Default organisation", "UTC", 0, 1, "queue")
        ]
        assert connection.execute("select * from vis.org_revisions").fetchall() == [(org, 1)]


def test_the_gateway_reads_a_key_with_everything_it_is_bound_to(database, arctrade):
    with database.as_role("vis_writer") as connection:
        cursor = connection.execute("select * from vis.keys_v1 where org_id = %s", [arctrade])
        (row,) = [dict(zip(VIEWS["keys_v1"], row, strict=True)) for row in cursor]
        assert connection.execute("select count(*) from vis.keys_v1").fetchone() == (2,)
    assert row["agent_sub"] == "agent@arctrade"
    assert row["agent_owner"] == "Alice"
    assert row["sso_sub"] == "alice@arctrade"
    assert [row[name] for name in ("team_id", "project_id", "customer_id")] == ["arctrade"] * 3
    assert [row[name] for name in ("cost_center", "task_id")] == ["cc-1", "ARC-1"]
    assert [row[name] for name in ("gl_code", "task_class", "memo", "url", "revoked_at")] == [None] * 5
    assert row["business_unit"] is None
    assert [row[name] for name in ("level", "rotation", "org_epoch", "person_epoch", "person_epoch_now")] == [
        0,
        0,
        1,
        1,
        1,
    ]
    assert row["scopes"] == ["call"]
    assert [row[name] for name in ("models", "providers", "networks", "callers", "projects")] == [[]] * 5
    assert [row[name] for name in ("previous_hmac", "previous_until", "service_id")] == [None] * 3


def test_the_gateway_reads_the_lists_of_a_key_and_how_far_its_person_has_moved(database, arctrade):
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute("update vis_control.person set epoch = 7")
        connection.execute(
            """update vis_control.virtual_key set scopes = '["call", "mint"]', model_globs = '["claude-*"]', networks = '["::1/128"]',
                 service_id = (select id from vis_control.service where org_id = %s)""",
            [arctrade],
        )
    with database.as_role("vis_writer") as connection:
        query = """select scopes, models, networks, person_epoch, person_epoch_now, service_id is not null
                     from vis.keys_v1 where org_id = %s"""
        found = connection.execute(query, [arctrade]).fetchone()
    assert found == (["call", "mint"], ["claude-*"], ["::1/128"], 1, 7, True)


def test_the_gateway_reads_projects_with_their_floor(database, arctrade):
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute("update vis_control.project set level_floor = 3")
    with database.as_role("vis_writer") as connection:
        query = "select project_id, customer_id, gl_code, business_unit, passthrough, level_floor from vis.projects_v1 where org_id = %s"
        assert connection.execute(query, [arctrade]).fetchall() == [
            ("arctrade", "arctrade", None, None, None, 3)
        ]
        query = "select customer_id from vis.customers_v1 where org_id = %s"
        assert connection.execute(query, [arctrade]).fetchall() == [("arctrade",)]


def test_the_gateway_reads_repos_and_aliases(database, arctrade):
    """A2: the customer of the repo goes before that of its project."""

    def shown() -> list[tuple]:
        with database.as_role("vis_writer") as connection:
            query = "select repo, name, project_id, customer_id, default_epic, branch_pattern from vis.repos_v1 where org_id = %s"
            return connection.execute(query, [arctrade]).fetchall()

    assert shown() == [("bitbucket.org/arctrade/billing", "billing", "arctrade", "arctrade", "ARC-100", None)]
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute(
            """with mine as (insert into vis_control.end_customer (id, org_id, key, name, created_at)
                             values (gen_random_uuid(), %s, 'direct', 'Direct', now()) returning id)
               update vis_control.mapped_repo set customer_id = mine.id, branch_pattern = '(X-\\d+)' from mine""",
            [arctrade],
        )
    assert shown()[0][3:] == ("direct", "ARC-100", r"(X-\d+)")
    with database.as_role("vis_writer") as connection:
        query = "select alias, project_id from vis.project_aliases_v1 where org_id = %s"
        assert connection.execute(query, [arctrade]).fetchall() == [("arctradeX", "arctrade")]


def test_the_gateway_reads_whose_an_agent_is_now_and_its_gl_code_where_the_project_has_none(
    database, arctrade
):
    """A4: the latest period that has begun; one that has not begun changes nothing."""

    def begin(since: str, owner: str, gl_code: str, cost_center: str) -> None:
        with database.as_role("vis_web", arctrade) as connection:
            connection.execute(
                """insert into vis_control.agent_identity_period
                     (id, org_id, agent_id, owner, team_id, cost_center, gl_code, valid_from, made_at)
                   select gen_random_uuid(), org_id, id, %s, null, %s, %s, now() + %s::interval, now()
                     from vis_control.agent_identity where sub = 'agent@arctrade'""",
                [owner, cost_center, gl_code, since],
            )

    def shown() -> tuple:
        with database.as_role("vis_writer") as connection:
            query = "select agent_owner, team_id, cost_center, gl_code, sso_sub from vis.keys_v1 where org_id = %s"
            return connection.execute(query, [arctrade]).fetchone()

    assert shown() == ("Alice", "arctrade", "cc-1", None, "alice@arctrade")
    begin("-1 hour", "Alice K.", "6200", "cc-9")
    begin("1 hour", "Nobody yet", "6300", "cc-10")
    begin("-2 hours", "Before her", "6100", "cc-8")
    assert shown() == ("Alice K.", None, "cc-9", "6200", "alice@arctrade")
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute("update vis_control.project set gl_code = '7000'")
    assert shown()[3] == "7000"


def test_a_period_that_has_begun_reaches_the_gateways_once(database, arctrade):
    """A4: nothing else changes on the day that was said."""

    def revision() -> int:
        with database.as_role("vis_writer") as connection:
            query = "select revision from vis.org_revisions where org_id = %s"
            return connection.execute(query, [arctrade]).fetchone()[0]

    begin(database.dsn("vis_jobs"))
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute(
            """insert into vis_control.agent_identity_period
                 (id, org_id, agent_id, owner, cost_center, gl_code, valid_from, made_at)
               select gen_random_uuid(), org_id, id, 'Later', '', '', now() + interval '1 hour', now()
                 from vis_control.agent_identity"""
        )
    before = revision()
    assert begin(database.dsn("vis_jobs")) == 0
    with database.as_role("vis_super") as connection:  # the hour passes
        connection.execute(
            "update vis_control.agent_identity_period set valid_from = now() where owner = 'Later'"
        )
    told = revision()
    assert begin(database.dsn("vis_jobs")) == 1
    assert revision() == told + 1 > before
    assert begin(database.dsn("vis_jobs")) == 0


def test_a_binding_key_that_was_revoked_is_shown_for_one_more_day(database, arctrade):
    def shown() -> int:
        with database.as_role("vis_writer") as connection:
            return connection.execute(
                "select from vis.binding_keys_v1 where org_id = %s", [arctrade]
            ).rowcount

    for ago, expected in (("23 hours", 1), ("25 hours", 0)):
        with database.as_role("vis_web", arctrade) as connection:
            connection.execute("update vis_control.binding_key set revoked_at = now() - %s::interval", [ago])
        assert shown() == expected


def test_the_gateway_reads_a_revoked_token_until_it_would_have_expired(database, arctrade):
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute(
            """insert into vis_control.revoked_token (id, org_id, jti, until, revoked_at)
               values (gen_random_uuid(), %s, gen_random_uuid(), now() - interval '2 hours', now())""",
            [arctrade],
        )
    with database.as_role("vis_writer") as connection:
        query = "select until from vis.revoked_tokens_v1 where org_id = %s"
        assert connection.execute(query, [arctrade]).fetchall() == [(datetime(2099, 1, 1, tzinfo=UTC),)]


def test_the_gateway_reads_how_to_open_the_keys_that_are_sealed(database, arctrade):
    with database.as_role("vis_writer") as connection:
        for view in ("binding_keys_v1", "signing_keys_v1"):
            query = f"select generation, wrapped, revoked_at from vis.{view} where org_id = %s"
            assert connection.execute(query, [arctrade]).fetchall() == [(1, b"w", None)]


def test_an_organisation_has_one_key_that_signs(database, arctrade):
    with (
        pytest.raises(psycopg.errors.UniqueViolation),
        database.as_role("vis_web", arctrade) as connection,
    ):
        connection.execute(
            """insert into vis_control.signing_key (id, org_id, organisation_key_id, public, sealed, made_at, active_from)
               select gen_random_uuid(), org_id, organisation_key_id, public, sealed, now(), now() from vis_control.signing_key"""
        )


def test_the_customer_of_a_key_goes_before_that_of_its_project(database, arctrade):
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute(
            """with mine as (insert into vis_control.end_customer (id, org_id, key, name, created_at)
                             values (gen_random_uuid(), %s, 'direct', 'Direct', now()) returning id)
               select set_config('test.customer', id::text, true) from mine""",
            [arctrade],
        )
        connection.execute(
            "update vis_control.virtual_key set customer_id = current_setting('test.customer')::uuid"
        )
    with database.as_role("vis_writer") as connection:
        assert connection.execute(
            "select customer_id from vis.keys_v1 where org_id = %s", [arctrade]
        ).fetchone() == ("direct",)


def test_the_business_unit_of_a_project_goes_before_that_of_the_team(database, arctrade):
    def unit() -> str | None:
        with database.as_role("vis_writer") as connection:
            query = "select business_unit from vis.keys_v1 where org_id = %s"
            return connection.execute(query, [arctrade]).fetchone()[0]

    with database.as_role("vis_web", arctrade) as connection:
        connection.execute("update vis_control.team set business_unit = 'trading'")
    assert unit() == "trading"
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute("update vis_control.project set business_unit = 'power'")
    assert unit() == "power"


def test_a_retired_credential_is_not_shown_to_the_gateway(database, arctrade):
    def shown():
        with database.as_role("vis_writer") as connection:
            query = "select provider, sealed, wrapped, generation from vis.providers_v1 where org_id = %s"
            return connection.execute(query, [arctrade]).fetchall()

    assert shown() == [("anthropic", b"s", b"w", 1)]
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute("update vis_control.provider_credential set retired_at = now()")
    assert shown() == []


def test_the_gateway_reads_the_dated_prices(database, arctrade):
    with database.as_role("vis_writer") as connection:
        query = "select version, rates, effective_from from vis.prices_v1 where org_id = %s"
        assert connection.execute(query, [arctrade]).fetchall() == [
            (1, {"in_text": "1"}, datetime(2026, 1, 1, tzinfo=UTC))
        ]


def test_the_gateway_reads_a_budget_until_it_is_retired(database, arctrade):
    def shown(role: str) -> list[tuple]:
        with database.as_role(role) as connection:
            query = "select scope_kind, scope_value, period, cap_nusd, hard, soft, near_cap, ceiling_nusd from vis.budgets_v1"
            return connection.execute(f"{query} where org_id = %s", [arctrade]).fetchall()

    budget = ("project", "arctrade", "month", 2_500_000_000_000, True, [60, 80], "refuse", None)
    assert shown("vis_writer") == shown("vis_jobs") == [budget]
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute("update vis_control.budget set retired_at = now()")
    assert shown("vis_writer") == shown("vis_jobs") == []


@pytest.mark.parametrize(("view", "table"), [("hints_v1", "model_hint"), ("rate_limits_v1", "rate_limit")])
def test_a_retired_rule_is_not_shown_to_the_gateway(database, arctrade, view, table):
    def shown() -> int:
        with database.as_role("vis_writer") as connection:
            return connection.execute(f"select from vis.{view} where org_id = %s", [arctrade]).rowcount

    assert shown() == 1
    with database.as_role("vis_web", arctrade) as connection:
        connection.execute(f"update vis_control.{table} set retired_at = now()")
    assert shown() == 0


def test_the_gateway_reads_a_multiplier_exactly(database, arctrade):
    with database.as_role("vis_writer") as connection:
        query = "select multiplier from vis.markups_v1 where org_id = %s"
        assert connection.execute(query, [arctrade]).fetchone() == (Decimal("1.25"),)


@pytest.mark.parametrize("role", ["vis_reader", "vis_jobs"])
def test_a_report_sees_the_splits_of_its_organisation_only(database, arctrade, role):
    query = "select scope_value, parts from vis.splits_v1"
    with database.as_role(role) as connection:
        assert connection.execute(query).fetchall() == []
    with database.as_role(role, arctrade) as connection:
        parts = [{"cost_center": "cc-1", "gl_code": "", "share": "1"}]
        assert connection.execute(query).fetchall() == [("arctrade", parts)]


def test_nobody_writes_through_a_view(database):
    with database.as_role("vis_super") as connection:
        found = connection.execute(
            """select c.oid::regclass::text, r.rolname::text, verb
                 from pg_class c, pg_roles r, unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) verb
                where c.relkind = 'v' and c.relnamespace = 'vis'::regnamespace and r.rolname = any(%s)
                  and has_table_privilege(r.oid, c.oid, verb)""",
            [sorted(EVERYBODY)],
        ).fetchall()
    assert found == []
