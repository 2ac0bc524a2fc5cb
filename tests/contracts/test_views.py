"""The versioned views are what the planes agree on: columns get added, never changed. A change here is a decision."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from contracts.control import insert_all
from visionality.runtime.ids import uuid7

TIME = "timestamp with time zone"

VIEWS = {
    "keys_v1": {
        "org_id": "uuid", "key_id": "uuid", "handle_hmac": "bytea", "expires_at": TIME, "revoked_at": TIME,
        "agent_sub": "character varying(255)", "agent_owner": "character varying(200)", "sso_sub": "character varying(255)",
        "team_id": "character varying(80)", "cost_center": "text", "project_id": "character varying(80)", "gl_code": "text",
        "customer_id": "character varying(80)", "task_id": "text", "task_class": "text", "memo": "text", "url": "text",
        "passthrough": "jsonb",
    },
    "orgs_v1": {"org_id": "uuid", "slug": "character varying(60)", "name": "character varying(200)"},
    "prices_v1": {
        "org_id": "uuid", "version": "integer", "provider": "character varying(60)", "model": "character varying(200)",
        "rates": "jsonb", "effective_from": TIME, "source": "character varying(200)",
    },
    "providers_v1": {
        "org_id": "uuid", "credential_id": "uuid", "provider": "character varying(60)", "base_url": "character varying(400)",
        "on_abort": "character varying(10)", "sealed": "bytea", "generation": "integer", "wrapped": "bytea", "kek_id": "uuid",
        "options": "jsonb",
    },
    "schema_migrations_v1": {"migration": "text"},
}  # fmt: skip

EVERYBODY = {"vis_writer", "vis_web", "vis_jobs", "vis_reader", "vis_auditor", "vis_sealer"}
READERS = {
    "keys_v1": {"vis_writer"},
    "orgs_v1": EVERYBODY - {"vis_reader", "vis_sealer"},
    "prices_v1": {"vis_writer"},
    "providers_v1": {"vis_writer"},
    "schema_migrations_v1": EVERYBODY,
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
            (org, "default", "Default organisation")
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
