"""The attempts of an application role, of the owner and of a superuser to change a row that was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege

from conftest import Database, clone_of, default_org
from ledger.faults import ROLES, TABLES
from ledger.rows import WRITERS, insert, smallest
from visionality.runtime.clock import utc_now


@dataclass(frozen=True)
class Ledger:
    """A database with one row in every audit table. Nobody commits a change, so the tests share it."""

    database: Database
    org_id: UUID
    partitions: dict[str, str]

    def partition(self, table: str) -> str:
        """Where the row is: this month's partition; the table itself where there are none."""
        return self.partitions[table]


@pytest.fixture(scope="module")
def ledger(cluster, template) -> Iterator[Ledger]:
    with clone_of(cluster, template) as database:
        org_id = default_org(database)
        partitions = {}
        for table in TABLES:
            with database.as_role(WRITERS[table][0], org_id) as connection:
                insert(connection, table, smallest(table, org_id, utc_now()))
            with database.as_role("vis_auditor") as connection:
                partitions[table] = connection.execute(
                    f"select tableoid::regclass::text from vis.{table}"
                ).fetchone()[0]
        yield Ledger(database, org_id, partitions)


ATTEMPTS = {
    "UPDATE": "update vis.{table} set org_id = org_id",
    "DELETE": "delete from vis.{table}",
    "TRUNCATE": "truncate vis.{table}",
    "MERGE": "merge into vis.{table} t using (select 1) s on true when matched then delete",
    "ON CONFLICT DO UPDATE": "insert into vis.{table} select * from vis.{table} on conflict ({key}) do update set org_id = excluded.org_id",
    "SELECT FOR UPDATE": "select from vis.{table} for update",
    "SELECT FOR SHARE": "select from vis.{table} for share",
    "ALTER": "alter table vis.{table} add column later text",
    "DETACH": "alter table vis.{table} detach partition {partition}",
    "DROP": "drop table vis.{table}",
    "disable trigger": "alter table vis.{table} disable trigger all",
    "drop trigger": "drop trigger ao_row on vis.{table}",
    "disable row security": "alter table vis.{table} disable row level security",
    "session_replication_role": "set session_replication_role = replica",
    "become the owner": "set role vis_owner",
    "replace the guard": "create or replace function vis.no_change() returns trigger language plpgsql as 'begin return old; end'",
    "COPY TO PROGRAM": "copy (select 1) to program 'true'",
    "TEMP table that shadows": "create temp table {table} (like vis.{table})",
    "table beside": "create table vis.{table}_209901 (id uuid)",
    "UPDATE of the partition": "update {partition} set org_id = org_id",
    "DELETE from the partition": "delete from {partition}",
    "TRUNCATE of the partition": "truncate {partition}",
    "DROP of the partition": "drop table {partition}",
}  # fmt: skip


KEYS = {
    "seals": "org_id, log, seal_no",
    "scope_runs": "org_id, project_id, first_seq",
    "scope_segments": "org_id, project_id, segment_no",
    "evidence_packs": "org_id, pack_id",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("role", ROLES)
def test_an_application_role_is_denied(ledger, role, attempt):
    with psycopg.connect(ledger.database.dsn(role)) as connection:
        for table in TABLES:
            key = KEYS.get(table, "org_id, created_at, id")
            sentence = ATTEMPTS[attempt].format(table=table, key=key, partition=ledger.partition(table))
            connection.execute("select set_config('vis.org_id', %s, true)", [str(ledger.org_id)])
            with pytest.raises(InsufficientPrivilege):
                connection.execute(sentence)
            connection.rollback()


@pytest.mark.parametrize("role", ROLES)
def test_a_partition_is_not_read_directly(ledger, role):
    with psycopg.connect(ledger.database.dsn(role)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"select from {ledger.partition('request_logs')}")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", ROLES)
def test_a_row_is_inserted_by_its_writers_only(ledger, role, table):
    with psycopg.connect(ledger.database.dsn(role)) as connection:
        connection.execute("select set_config('vis.org_id', %s, true)", [str(ledger.org_id)])
        row = smallest(table, ledger.org_id, utc_now(), seal_no=2)
        if role in WRITERS[table]:
            insert(connection, table, row)
        else:
            with pytest.raises(InsufficientPrivilege):
                insert(connection, table, row)
        connection.rollback()


@pytest.mark.parametrize("context", ["another organisation", "no organisation"])
@pytest.mark.parametrize("table", ["key_events", "admin_events"])
def test_the_control_plane_does_not_write_for_another_organisation(ledger, table, context):
    with psycopg.connect(ledger.database.dsn("vis_web")) as connection:
        if context == "another organisation":
            connection.execute("select set_config('vis.org_id', %s, true)", [str(ledger.org_id)])
        with pytest.raises(InsufficientPrivilege, match="row-level security"):
            insert(connection, table, smallest(table, uuid4(), utc_now()))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", ["vis_web", "vis_reader"])
def test_a_scoped_role_sees_its_organisation_and_no_other(ledger, role, table):
    def seen(org_id):
        with ledger.database.as_role(role, org_id) as connection:
            return connection.execute(f"select count(*) from vis.{table}").fetchone()[0]

    assert [seen(ledger.org_id), seen(uuid4()), seen(None)] == [1, 0, 0]


def test_a_context_that_ended_with_its_transaction_shows_nothing(ledger):
    with psycopg.connect(ledger.database.dsn("vis_reader")) as connection:
        connection.execute("select set_config('vis.org_id', %s, true)", [str(ledger.org_id)])
        connection.commit()
        assert connection.execute("select current_setting('vis.org_id', true)").fetchone() == ("",)
        assert connection.execute("select from vis.request_logs").fetchall() == []


@pytest.mark.parametrize("table", TABLES)
def test_the_auditor_sees_every_organisation(ledger, table):
    with ledger.database.as_role("vis_auditor") as connection:
        assert connection.execute(f"select count(*) from vis.{table}").fetchone() == (1,)


CHANGES = ["update {} set org_id = org_id", "delete from {}", "truncate {}"]
WHERE = ["table", "partition"]


@pytest.fixture
def owner(ledger) -> Iterator[psycopg.Connection]:
    with psycopg.connect(ledger.database.dsn("vis_migrator")) as connection:
        connection.execute("set role vis_owner")
        yield connection
        connection.rollback()


@pytest.fixture
def superuser(ledger) -> Iterator[psycopg.Connection]:
    with psycopg.connect(ledger.database.dsn("vis_super")) as connection:
        connection.execute("set session_replication_role = replica")
        yield connection
        connection.rollback()


def place(ledger: Ledger, table: str, where: str) -> str:
    return f"vis.{table}" if where == "table" else ledger.partition(table)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_who_lifts_row_security_is_stopped_by_the_triggers(ledger, owner, change, table, where):
    for relation in {f"vis.{table}", ledger.partition(table)}:
        owner.execute(f"alter table {relation} no force row level security")
    with pytest.raises(InsufficientPrivilege, match="append-only"):
        owner.execute(change.format(place(ledger, table, where)))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("table", TABLES)
def test_the_owner_finds_no_row_to_change_under_forced_row_security(ledger, owner, table, where):
    relation = place(ledger, table, where)
    assert owner.execute(f"update {relation} set org_id = org_id").rowcount == 0
    assert owner.execute(f"delete from {relation}").rowcount == 0
    with pytest.raises(InsufficientPrivilege, match="append-only"):
        owner.execute(f"truncate {relation}")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_superuser_who_switches_ordinary_triggers_off_is_stopped(ledger, superuser, change, table, where):
    with pytest.raises(InsufficientPrivilege, match="append-only"):
        superuser.execute(change.format(place(ledger, table, where)))


def test_a_month_that_is_added_later_is_armed(ledger, owner, superuser):
    owner.execute("select vis.add_month('vis.request_logs', '2099-01-01')")
    with pytest.raises(InsufficientPrivilege, match="append-only"):
        owner.execute("truncate vis.request_logs_209901")


def test_a_month_without_a_partition_is_refused_aloud(ledger):
    with (
        psycopg.connect(ledger.database.dsn("vis_writer")) as connection,
        pytest.raises(CheckViolation, match="no partition"),
    ):
        insert(
            connection,
            "request_logs",
            smallest("request_logs", ledger.org_id, utc_now().replace(year=2098, day=1)),
        )
