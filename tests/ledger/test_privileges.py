"""Promise L2: the check sees every way in which an application role could change the ledger, and nothing else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from psycopg import connect

from conftest import PASSWORDS, Database, Server, clone_of, server_of, template_on
from ledger.faults import FAULTS, ROLES, TABLES, Fault
from visionality.ledger.bootstrap import bootstrap
from visionality.ledger.privileges import APP_ROLES, findings
from visionality.postgres import cluster as embedded
from visionality.runtime.clock import utc_now
from visionality.runtime.sql import text

OLDEST = Path("/usr/lib/postgresql/15/bin")
ON_THE_OLDEST = (
    "a detached partition", "UPDATE on a table", "TRUNCATE on a partition", "UPDATE of a column", "a member of the owner",
    "a trigger is silent for replicas", "the guard's body is replaced", "a policy that shows the reader everything",
    "a policy that takes any organisation", "temporary tables", "triggers that a role may switch off",
)  # fmt: skip


@contextmanager
def planted(database: Database, fault: Fault) -> Iterator[dict[str, str]]:
    """The database with the fault in it, and the names that its sentences use."""
    words = names(database)
    database.run(fault.plant.format(**words))
    try:
        yield words
    finally:
        database.run(fault.remedy.format(**words))


def names(database: Database) -> dict[str, str]:
    now = utc_now()
    following = now.replace(day=1) + timedelta(days=31)
    return {
        "name": database.name,
        "month": f"{now:%Y%m}",
        "next": f"{following:%Y%m}",
        "next_words": f"{following:%Y-%m}",
    }


def assert_seen(database: Database, fault: Fault) -> None:
    if major_of(database.server) < fault.since:
        pytest.skip(f"PostgreSQL {fault.since} is the first that has it")
    with planted(database, fault) as words:
        found = findings(database.dsn)
    says = fault.says.format(**words)
    assert any(says in sentence for sentence in found), found
    assert not [sentence for sentence in found if not re.search(fault.about or re.escape(says), sentence)]
    assert found == sorted(set(found))


def major_of(server: Server) -> int:
    with connect(server.dsn("postgres")) as connection:
        return connection.info.server_version // 10_000


def test_a_freshly_migrated_database_has_no_finding(database):
    assert findings(database.dsn) == []
    assert APP_ROLES == ROLES


@pytest.fixture(scope="module")
def shared(cluster, template) -> Iterator[Database]:
    """A clean database for the faults that are taken away again."""
    with clone_of(cluster, template) as database:
        yield database
        assert findings(database.dsn) == []


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.remedy], ids=str)
def test_a_planted_fault_is_seen_and_nothing_else(shared, fault):
    assert_seen(shared, fault)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if not fault.remedy], ids=str)
def test_a_fault_that_cannot_be_undone_is_seen_and_nothing_else(database, fault):
    assert_seen(database, fault)


@pytest.fixture(scope="session")
def oldest() -> Iterator[Database]:
    if not OLDEST.exists():
        pytest.skip("no PostgreSQL 15 is installed")
    with server_of(OLDEST) as server, template_on(server) as template, clone_of(server, template) as database:
        yield database


def test_the_oldest_postgresql_sees_the_same(oldest):
    """In one database, each fault beside the ones before it: planting is what costs time here."""
    assert findings(oldest.dsn) == []
    for fault in FAULTS:
        if fault.name in ON_THE_OLDEST:
            with planted(oldest, fault) as words:
                found = findings(oldest.dsn)
            assert any(fault.says.format(**words) in sentence for sentence in found), (fault, found)


def test_the_migrator_may_become_the_owner_and_that_is_no_finding(database):
    with database.as_role("vis_migrator") as connection:
        connection.execute("set role vis_owner")
    assert findings(database.dsn) == []


def test_a_view_that_runs_with_the_rights_of_its_reader_is_no_finding(database):
    database.run(
        "create view vis.v with (security_invoker = true) as select * from vis.request_logs",
        "grant select on vis.v to vis_reader, vis_web",
    )
    assert findings(database.dsn) == []


def test_an_address_that_logs_in_as_somebody_else_is_seen(database):
    found = findings(lambda role: database.dsn("vis_super" if role == "vis_web" else role))
    assert f"the address of vis_web logs in as {database.superuser}" in found
    assert f"{database.superuser}: UPDATE vis.seals SET org_id = org_id WHERE false was not refused" in found
    assert f"{database.superuser}: CREATE TEMP TABLE vis_probe () was not refused" in found


def test_a_right_that_only_a_trigger_answers_is_seen_by_the_attempt_too(database):
    database.run("grant truncate on vis.seals to vis_jobs", "grant delete on vis.seals to vis_jobs")
    assert findings(database.dsn) == [
        "vis_jobs may DELETE vis.seals",
        "vis_jobs may TRUNCATE vis.seals",
        "vis_jobs: DELETE FROM vis.seals WHERE false was not refused",
        "vis_jobs: TRUNCATE vis.seals was refused by a trigger only",
    ]


def test_an_attempt_that_is_not_refused_changes_nothing(database):
    with database.as_role("vis_super") as connection:
        (partition,) = connection.execute(
            "select max(inhrelid::regclass::text) from pg_inherits where inhparent = 'vis.request_logs'::regclass"
        ).fetchone()
    database.run(
        f"grant update, delete, truncate on {partition} to vis_jobs", f"drop trigger ao_trunc on {partition}"
    )
    with database.as_role("vis_super") as connection:
        before = connection.execute("select pg_relation_filenode(%s)", [partition]).fetchone()
        found = findings(database.dsn)
        assert connection.execute("select pg_relation_filenode(%s)", [partition]).fetchone() == before
    assert f"vis_jobs: TRUNCATE {partition} was not refused" in found


def test_a_table_that_is_locked_is_not_waited_for(database):
    database.run("grant truncate on vis.seals to vis_jobs")
    with database.as_role("vis_super") as connection:
        connection.execute("lock table vis.seals in row exclusive mode")
        found = findings(database.dsn)
    assert any(s.startswith("vis_jobs: TRUNCATE vis.seals failed with 55P03") for s in found)


def test_a_database_without_the_schema_has_every_table_missing_and_a_careless_server_is_seen(monkeypatch):
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        monkeypatch.setitem(embedded.SETTINGS, name, "off")
    with server_of(None) as server:
        with connect(server.dsn("postgres")) as connection:
            bootstrap(connection, PASSWORDS)
        found = findings(lambda role: server.dsn("postgres", role))
    assert [f"vis.{table} is missing" in found for table in TABLES] == [True] * len(TABLES)
    assert {"fsync is off", "full_page_writes is off", "synchronous_commit is off"} < set(found)


def test_the_guard_that_the_check_knows_is_the_one_that_is_installed():
    migration = text("visionality.ledger.sql.migrations", "0001_pre_ledger.sql")
    body = migration.split("create function vis.no_change()")[1].split("$$")[1]
    assert sha256(body.encode()).hexdigest() in text("visionality.ledger.sql", "privileges.sql")
