"""Who may enter an organisation is seen by it, and at sign-in by whom it is about, and by nobody else (S8)."""

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Json

from conftest import Database, clone_of
from contracts.control import ENTERING, OF_A_PERSON, insert
from visionality.runtime.ids import uuid7

NOW = "2026-01-01T00:00:00Z"
SETTINGS = {"membership": "vis.user_id", "sign_on": "vis.email_domain"}


def rows_of(org_id: UUID, user_id: UUID, domain: str) -> dict[str, dict]:
    """A smallest row in each table."""
    return {
        "membership": {"id": uuid7(), "org_id": org_id, "user_id": user_id, "roles": Json(["finance"]), "sso_issuer": "", "sso_sub": "", "state": "active", "joined_at": NOW},
        "invitation": {"id": uuid7(), "org_id": org_id, "email": f"a@{domain}", "roles": Json(["finance"]), "token_sha256": uuid7().bytes * 2, "invited_by": "cli:alice", "invited_at": NOW, "expires_at": NOW},
        "sign_on": {"org_id": org_id, "title": "Okta", "issuer": "https://i", "client_id": "c", "sealed": b"s", "organisation_key_id": uuid7(), "domains": Json([domain]), "joins": False, "joins_as": Json([]), "set_at": NOW},
    }  # fmt: skip


@pytest.fixture(scope="module")
def two(cluster, template) -> Iterator[tuple[Database, dict[str, tuple[UUID, UUID]]]]:
    """Two organisations, each with somebody of its own and a row in each table. Nobody commits a change."""
    with clone_of(cluster, template) as database:
        who = {}
        for slug in ("ours", "theirs"):
            who[slug] = org_id, user_id = uuid7(), uuid7()
            with database.as_role("vis_web", org_id) as connection:
                insert(
                    connection, "organisation", {"id": org_id, "slug": slug, "name": slug, "created_at": NOW}
                )
                account = {
                    "id": user_id,
                    "email": f"{slug}@x.example",
                    "name": slug,
                    "password": "!",
                    "is_active": True,
                }
                insert(connection, "account_user", {**account, "created_at": NOW})
                for table, row in rows_of(org_id, user_id, f"{slug}.example").items():
                    insert(connection, table, row)
        yield database, who


def orgs_seen(connection: psycopg.Connection, table: str) -> list[UUID]:
    return [org_id for (org_id,) in connection.execute(f"select org_id from vis_control.{table}")]


@pytest.mark.parametrize("table", ENTERING)
def test_the_control_plane_sees_its_organisation_only(two, table):
    database, who = two
    for org_id, _ in who.values():
        with database.as_role("vis_web", org_id) as connection:
            assert orgs_seen(connection, table) == [org_id]


@pytest.mark.parametrize("table", ENTERING)
def test_without_an_organisation_it_sees_nothing(two, table):
    database, _ = two
    with database.as_role("vis_web") as connection:
        assert orgs_seen(connection, table) == []
        for setting in SETTINGS.values():
            connection.execute("select set_config(%s, '', true)", [setting])
        assert orgs_seen(connection, table) == []


@pytest.mark.parametrize("table", ENTERING)
def test_at_sign_in_somebody_sees_their_own_memberships_and_nothing_else(two, table):
    database, who = two
    for org_id, user_id in who.values():
        with database.as_role("vis_web") as connection:
            connection.execute("select set_config('vis.user_id', %s, true)", [str(user_id)])
            assert orgs_seen(connection, table) == ([org_id] if table == "membership" else [])


@pytest.mark.parametrize("table", ENTERING)
def test_an_address_finds_the_sign_on_of_its_domain_and_nothing_else(two, table):
    database, who = two
    for slug, (org_id, _) in who.items():
        with database.as_role("vis_web") as connection:
            connection.execute("select set_config('vis.email_domain', %s, true)", [f"{slug}.example"])
            assert orgs_seen(connection, table) == ([org_id] if table == "sign_on" else [])


@pytest.mark.parametrize("table", ENTERING)
def test_who_finds_a_row_at_sign_in_cannot_change_it(two, table):
    database, who = two
    with psycopg.connect(database.dsn("vis_web")) as connection:
        connection.execute("select set_config('vis.user_id', %s, true)", [str(who["ours"][1])])
        connection.execute("select set_config('vis.email_domain', 'ours.example', true)")
        assert connection.execute(f"update vis_control.{table} set org_id = org_id").rowcount == 0
        connection.rollback()


@pytest.mark.parametrize("table", ENTERING)
def test_the_control_plane_makes_no_row_for_another_organisation_and_gives_none_away(two, table):
    database, who = two
    (ours, _), (theirs, stranger) = who["ours"], who["theirs"]
    for change in (
        lambda web: insert(web, table, rows_of(theirs, stranger, "x.example")[table]),
        lambda web: web.execute(f"update vis_control.{table} set org_id = %s", [theirs]),
    ):
        with psycopg.connect(database.dsn("vis_web")) as connection:
            connection.execute("select set_config('vis.org_id', %s, true)", [str(ours)])
            with pytest.raises(InsufficientPrivilege, match="row-level security"):
                change(connection)


@pytest.mark.parametrize("table", ["membership", "invitation", "account_user"])
def test_nobody_deletes_who_was_let_in(two, table):
    database, who = two
    with database.as_role("vis_web", who["ours"][0]) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"delete from vis_control.{table}")


@pytest.mark.parametrize("role", ["vis_jobs", "vis_writer", "vis_reader", "vis_auditor", "vis_sealer"])
def test_the_other_roles_reach_none_of_it(two, role):
    database, _ = two
    for table in (*ENTERING, *OF_A_PERSON):
        with psycopg.connect(database.dsn(role)) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(f"select from vis_control.{table}")
