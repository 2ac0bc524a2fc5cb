"""What was read from trackers and Git hosts: seen by its organisation alone, and deleted by nobody."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from conftest import clone_of, default_org
from contracts.control import CONNECTING
from jobs.connecting import BILLING, FIX, HPC, MERGED, Desk, issue, page
from visionality.runtime.ids import uuid7

READ = [table for table in CONNECTING if not table.startswith("connector")]


@pytest.fixture(scope="module")
def desk(cluster, template) -> Iterator[Desk]:
    """An organisation with a row in each table. Nobody commits a change, so the tests share it."""
    with clone_of(cluster, template) as database:
        desk = Desk(database, default_org(database))
        desk.run(page(HPC, issue("HPC-1234"), BILLING, FIX, MERGED))
        yield desk


@pytest.mark.parametrize("table", CONNECTING)
def test_the_control_plane_sees_its_organisation_only(desk, table):
    for org, is_theirs in ((desk.org, True), (uuid7(), False)):
        with desk.database.as_role("vis_web", org) as connection:
            seen = connection.execute(f"select from vis_control.{table}").rowcount
        assert bool(seen) == (is_theirs and table != "connector_secret")  # no credential is given back


@pytest.mark.parametrize(
    "role", ["vis_web", "vis_jobs", "vis_writer", "vis_reader", "vis_auditor", "vis_sealer"]
)
@pytest.mark.parametrize("table", CONNECTING)
def test_nobody_deletes(desk, table, role):
    with psycopg.connect(desk.database.dsn(role)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"delete from vis_control.{table}")


@pytest.mark.parametrize("table", READ)
def test_the_control_plane_writes_nothing_of_what_was_read(desk, table):
    for change in (
        f"insert into vis_control.{table} default values",
        f"update vis_control.{table} set org_id = org_id",
    ):
        with (
            psycopg.connect(desk.database.dsn("vis_web")) as connection,
            pytest.raises(InsufficientPrivilege),
        ):
            connection.execute(change)


@pytest.mark.parametrize("column", ["moves", "full_at", "error", "is_paused"])
def test_the_control_plane_asks_for_a_run_and_says_nothing_of_how_it_went(desk, column):
    with psycopg.connect(desk.database.dsn("vis_web")) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"update vis_control.connector_run set {column} = {column}")


@pytest.mark.parametrize("role", ["vis_writer", "vis_reader", "vis_auditor", "vis_sealer"])
@pytest.mark.parametrize("table", CONNECTING)
def test_the_other_roles_do_not_reach_these_tables(desk, table, role):
    with psycopg.connect(desk.database.dsn(role)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"select from vis_control.{table}")
