"""What the schema keeps true so that an installation can grow onto many nodes (docs/guide/scale.md), read off the catalogue.

A database that spreads tables over nodes by a column, as Citus does, wants that column in every unique key and in every
foreign key between spread tables, and gives no cheap sequence. Ours is `org_id`. The ledger's schema `vis` is held to it;
`vis_control`, which stays on one node, to less: each of its tables says whose its rows are.
"""

import psycopg
import pytest

OF_THE_INSTALLATION = {
    "installation": "one row: what this installation is",
    "privilege_check": "one row: the last look at all roles",
    "seal_lease": "one row: who seals, for all organisations",
    "writers": "a process writes for every organisation, under one number",
    "rollup_cursor": "how far the rows of a writer are summed: its numbers go through all organisations",
    "seal_cursors": "how far the rows of a writer are sealed: the same",
    "replay_fences": "a timeline of the server: proofs from before its recovery are refused, whosever they are",
    "strangers": "counts of calls by whoever showed no key, so of no organisation",
}
"""Tables of `vis` that have no `org_id`, each with its reason. They are small, and a copy of each on every node would do."""

OF_PERSONS = {
    "account_user": "a person may be a member of several organisations",
    "account_emailaddress": "a person's",
    "account_emailconfirmation": "a person's",
    "mfa_authenticator": "a person's",
    "socialaccount_socialaccount": "a person's",
    "socialaccount_socialtoken": "a person's, and never filled",
    "socialaccount_socialapp": "of the framework, and never filled: issuers are in sign_on, by organisation",
    "usersessions_usersession": "a person's",
    "django_session": "a browser's",
    "django_migrations": "the schema's own record",
    "organisation": "its id is the `org_id` of all others",
}
"""Tables of `vis_control` without an `org_id`."""

TABLES = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %s and c.relkind in ('r', 'p') and not c.relispartition
   and exists (select from pg_attribute a
                where a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped and a.attnotnull) = %s
"""
UNIQUE = """
select c.relname, x.relname, i.indkey::int2[] operator(pg_catalog.@>) array[a.attnum] as has_org
  from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
 where c.relnamespace = 'vis'::regnamespace and (i.indisunique or i.indisexclusion)
"""
PRIMARY = """
select c.relname from pg_class c
 where c.relnamespace = 'vis'::regnamespace and c.relkind in ('r', 'p')
   and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')
"""
NUMBERED = """
select 'the sequence ' || c.relname from pg_class c where c.relnamespace = 'vis'::regnamespace and c.relkind = 'S'
 union all
select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where c.relnamespace = 'vis'::regnamespace and c.relkind in ('r', 'p') and not a.attisdropped
   and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) ~ 'nextval')
"""
FOREIGN = """
select k.conrelid::regclass::text, k.conname from pg_constraint k
 where k.contype = 'f' and ((select relnamespace from pg_class where oid = k.conrelid) = 'vis'::regnamespace
    or (select relnamespace from pg_class where oid = k.confrelid) = 'vis'::regnamespace)
"""


@pytest.fixture(scope="module")
def catalogue(cluster, template):
    with psycopg.connect(cluster.dsn(template)) as connection:
        yield connection


def names(catalogue: psycopg.Connection, *asked: object) -> set[str]:
    return {name for (name,) in catalogue.execute(TABLES, asked)}


@pytest.mark.parametrize(("schema", "others"), [("vis", OF_THE_INSTALLATION), ("vis_control", OF_PERSONS)])
def test_every_table_says_whose_its_rows_are_or_why_they_are_nobodys(catalogue, schema, others):
    assert names(catalogue, schema, False) == set(others)
    assert len(names(catalogue, schema, True)) > len(others)


def test_org_id_is_in_every_unique_key_of_the_ledgers_schema(catalogue):
    """Those of the partitions too: theirs come from their parents."""
    found = catalogue.execute(UNIQUE).fetchall()
    assert {"request_logs_pkey", "budget_events_pkey", "seals_pkey", "budget_windows_pkey"} <= {
        index for _, index, _ in found
    }
    assert [(table, index) for table, index, has_org in found if not has_org] == []


def test_every_table_of_the_ledgers_schema_has_a_primary_key(catalogue):
    assert catalogue.execute(PRIMARY).fetchall() == []


def test_no_table_of_the_ledgers_schema_is_numbered_by_a_sequence(catalogue):
    """Order comes from the writers' own numbers; ids are made by processes."""
    assert catalogue.execute(NUMBERED).fetchall() == []


def test_no_foreign_key_goes_into_or_out_of_the_ledgers_schema(catalogue):
    """So none has to carry `org_id`. Within `vis_control` there are some, which is why it stays on one node."""
    assert catalogue.execute(FOREIGN).fetchall() == []


@pytest.mark.parametrize(
    ("asked", "planted"),
    [
        (UNIQUE, "create table vis.planted (org_id uuid not null, n int primary key)"),
        (PRIMARY, "create table vis.planted (org_id uuid not null)"),
        (NUMBERED, "create table vis.planted (n int generated always as identity)"),
        (NUMBERED, "create table vis.planted (n serial)"),
        (FOREIGN, "create table vis.planted (n uuid references vis_control.organisation)"),
    ],
    ids=["unique", "no-primary", "identity", "serial", "foreign"],
)
def test_what_breaks_a_rule_is_found(catalogue, asked, planted):
    with catalogue.transaction(force_rollback=True):
        catalogue.execute(planted)
        found = [row for row in catalogue.execute(asked) if row[-1] is not True]
        assert any("planted" in str(row) for row in found)
