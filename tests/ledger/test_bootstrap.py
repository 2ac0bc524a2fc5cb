"""Passwords are set where they are others, and only there: a start repairs what was changed and writes nothing else."""

import psycopg
import pytest
from psycopg import connect

from conftest import PASSWORDS, server_of
from visionality.ledger.bootstrap import LOGIN_ROLES, bootstrap, is_verifier_of

KNOWN = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)
"""The example of RFC 7677: user `user`, password `pencil`."""


def test_a_verifier_is_told_from_that_of_another_password():
    assert is_verifier_of(KNOWN, "pencil")
    assert not is_verifier_of(KNOWN, "pencils")
    assert not is_verifier_of(KNOWN[:-6] + "AAAAA=", "pencil")
    assert not is_verifier_of("md53175bce1d3201d16594cebf9d7eb3f9d", "pencil")
    assert not is_verifier_of(None, "pencil")
    assert not is_verifier_of(KNOWN, "bleistift\u00ad")


@pytest.fixture(scope="module")
def superuser_dsn():
    with server_of(None) as server:
        yield server.dsn("postgres")


def verifiers(connection: psycopg.Connection) -> dict[str, str]:
    return dict(
        connection.execute(
            "select rolname::text, rolpassword from pg_authid where rolname = any(%s)", [list(LOGIN_ROLES)]
        ).fetchall()
    )


def test_a_password_that_was_changed_is_set_again_and_the_others_stay(superuser_dsn):
    with connect(superuser_dsn, autocommit=True) as connection:
        bootstrap(connection, PASSWORDS)
        before = verifiers(connection)
        assert all(is_verifier_of(before[role], PASSWORDS[role]) for role in LOGIN_ROLES)
        bootstrap(connection, PASSWORDS)
        assert verifiers(connection) == before
        connection.execute("alter role vis_web password 'another'")
        connection.execute("alter role vis_jobs password null")
        bootstrap(connection, PASSWORDS)
        after = verifiers(connection)
    assert {role for role in LOGIN_ROLES if after[role] != before[role]} == {"vis_web", "vis_jobs"}
    assert all(is_verifier_of(after[role], PASSWORDS[role]) for role in LOGIN_ROLES)


def test_an_administrator_who_may_not_see_verifiers_sets_every_password(superuser_dsn):
    with connect(superuser_dsn, autocommit=True) as connection:
        bootstrap(connection, PASSWORDS)
        before = verifiers(connection)
        connection.execute("create role keeper createrole")
        connection.execute("grant vis_owner to keeper")
        for role in LOGIN_ROLES:
            connection.execute(f"grant {role} to keeper with admin option")
        connection.execute("alter database postgres owner to keeper")
        connection.execute("grant all on schema public to keeper with grant option")
        connection.execute("set role keeper")
        bootstrap(connection, PASSWORDS)
        connection.execute("reset role")
        after = verifiers(connection)
        assert not after.items() & before.items()
    assert all(is_verifier_of(after[role], PASSWORDS[role]) for role in LOGIN_ROLES)
