"""The data plane learns of every control change by its organisation's revision, and of no other organisation's."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from conftest import Database, clone_of
from contracts.control import (
    CONNECTING,
    ENTERING,
    OF_A_PERSON,
    ONLY_GROW,
    TABLES,
    insert,
    insert_all,
    rows_of,
)
from visionality.runtime.ids import uuid7

CHANGEABLE = [table for table in TABLES if table not in ONLY_GROW]
CONTROL_ROLES = ["vis_web", "vis_jobs"]


@dataclass(frozen=True)
class Two:
    """Two organisations with a row in every control table. Nobody commits a change, so the tests share them."""

    database: Database
    ours: UUID
    theirs: UUID


@pytest.fixture(scope="module")
def two(cluster, template) -> Iterator[Two]:
    with clone_of(cluster, template) as database:
        found = Two(database, uuid7(), uuid7())
        for org_id, slug in ((found.ours, "ours"), (found.theirs, "theirs")):
            with database.as_role("vis_web", org_id) as connection:
                insert_all(connection, org_id, slug)
        yield found


@pytest.fixture(params=CONTROL_ROLES)
def connection(two, request) -> Iterator[psycopg.Connection]:
    yield from acting(two, request.param)


@pytest.fixture
def web(two) -> Iterator[psycopg.Connection]:
    yield from acting(two, "vis_web")


def acting(two: Two, role: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(two.database.dsn(role)) as connection:
        connection.execute("select set_config('vis.org_id', %s, true)", [str(two.ours)])
        yield connection
        connection.rollback()


def revisions(connection: psycopg.Connection) -> dict[UUID, int]:
    """Of every organisation but the one that an installation starts with."""
    return dict(
        connection.execute(
            "select org_id, revision from vis.org_revisions where org_id not in (select org_id from vis.orgs_v1 where slug = 'default')"
        ).fetchall()
    )


def mine(table: str) -> str:
    return "id" if table == "organisation" else "org_id"


def test_these_are_all_the_control_tables(two):
    with two.database.as_role("vis_super") as connection:
        found = connection.execute(
            "select tgrelid::regclass::text from pg_trigger where tgname = 'moved' and tgfoid = 'vis_control.moved()'::regprocedure"
        ).fetchall()
        every = connection.execute(
            "select tablename from pg_tables where schemaname = 'vis_control'"
        ).fetchall()
    assert {f"vis_control.{table}" for table in TABLES} == {name for (name,) in found}
    others = {"django_migrations", "django_session", "idempotency_key", "login_link"}
    assert {name for (name,) in every} - set(TABLES) == others | {*CONNECTING, *ENTERING, *OF_A_PERSON}


def test_an_organisation_starts_with_one_revision_for_each_row(two):
    with two.database.as_role("vis_writer") as connection:
        assert revisions(connection) == {two.ours: len(TABLES), two.theirs: len(TABLES)}


@pytest.mark.parametrize("table", TABLES)
def test_a_new_row_moves_its_organisation(two, table):
    org_id = uuid7()
    with psycopg.connect(two.database.dsn("vis_web")) as connection:
        connection.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])
        insert(connection, table, rows_of(org_id, "new")[table])
        assert revisions(connection) == {org_id: 1}  # row security shows the control plane its own only
        connection.rollback()


@pytest.mark.parametrize(
    "change",
    ["update vis_control.{0} set {1} = {1} where {1} = %s", "delete from vis_control.{0} where {1} = %s"],
)
@pytest.mark.parametrize("table", CHANGEABLE)
def test_a_change_moves_its_organisation_and_no_other(two, connection, table, change):
    assert connection.execute(change.format(table, mine(table)), [two.ours]).rowcount == 1
    others = {} if connection.info.user == "vis_web" else {two.theirs: len(TABLES)}
    assert revisions(connection) == {two.ours: len(TABLES) + 1} | others


@pytest.mark.parametrize("table", [table for table in CHANGEABLE if table != "organisation"])
def test_a_row_that_changes_hands_moves_both_organisations(two, table):
    with psycopg.connect(two.database.dsn("vis_jobs")) as connection:
        connection.execute(
            f"update vis_control.{table} set org_id = %s where org_id = %s", [(stranger := uuid7()), two.ours]
        )
        assert revisions(connection) == {two.ours: len(TABLES) + 1, two.theirs: len(TABLES), stranger: 1}
        connection.rollback()


@pytest.mark.parametrize("table", ["org_revisions", "stream_heads"])
def test_the_control_plane_cannot_touch_the_numbers_of_another_organisation(two, web, table):
    column = "revision" if table == "org_revisions" else "last_seq"
    assert web.execute(f"update vis.{table} set {column} = 0 where org_id = %s", [two.theirs]).rowcount == 0


@pytest.mark.parametrize(
    "change", ["update vis_control.{0} set org_id = org_id", "delete from vis_control.{0}"]
)
@pytest.mark.parametrize("table", ONLY_GROW)
def test_a_table_that_only_grows_takes_no_change(two, connection, table, change):
    with pytest.raises(InsufficientPrivilege):
        connection.execute(change.format(table))


@pytest.mark.parametrize("table", TABLES)
def test_the_control_plane_sees_its_organisation_only(two, web, table):
    seen = [org_id for (org_id,) in web.execute(f"select {mine(table)} from vis_control.{table}")]
    if table == "organisation":  # it must find the one that a request is for
        assert {two.ours, two.theirs} < set(seen)
    else:
        assert seen == [two.ours]


@pytest.mark.parametrize("table", [table for table in TABLES if table != "organisation"])
def test_without_an_organisation_the_control_plane_sees_nothing(two, table):
    with two.database.as_role("vis_web") as connection:
        assert connection.execute(f"select from vis_control.{table}").fetchall() == []


@pytest.mark.parametrize(
    "change",
    ["update vis_control.{0} set {1} = {1} where {1} = %s", "delete from vis_control.{0} where {1} = %s"],
)
@pytest.mark.parametrize("table", CHANGEABLE)
def test_the_control_plane_finds_no_row_of_another_organisation_to_change(two, web, table, change):
    assert web.execute(change.format(table, mine(table)), [two.theirs]).rowcount == 0


@pytest.mark.parametrize("table", TABLES)
def test_the_control_plane_makes_no_row_for_another_organisation(two, web, table):
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        insert(web, table, rows_of(uuid7(), "stranger")[table])


@pytest.mark.parametrize("table", [table for table in CHANGEABLE if table != "organisation"])
def test_the_control_plane_gives_no_row_away(two, web, table):
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        web.execute(f"update vis_control.{table} set org_id = %s", [two.theirs])


@pytest.mark.parametrize("role", ["vis_writer", "vis_reader", "vis_auditor", "vis_sealer"])
def test_the_other_roles_do_not_reach_the_control_tables(two, role):
    for table in TABLES:
        with psycopg.connect(two.database.dsn(role)) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(f"select from vis_control.{table}")
