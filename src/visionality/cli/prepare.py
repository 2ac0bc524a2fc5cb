"""Before anything serves: roles, schema, partitions, the smoke check and the master key."""

from collections.abc import Callable

import psycopg

from visionality.cli.installation import CannotStart
from visionality.ledger.bootstrap import LOGIN_ROLES, bootstrap, existing_roles
from visionality.ledger.privileges import findings
from visionality.postgres.access import DATABASE, Access
from visionality.runtime.clock import Clock
from visionality.web.migrate import migrate


def prepare(access: Access, clock: Clock, report: Callable[[str], None]) -> None:
    """Bring roles and schema up to date and check that no role can change history. Raises CannotStart."""
    if access.endpoint is not None:
        _make_database(access.admin_dsn("postgres"))
    with psycopg.connect(access.admin_dsn(), autocommit=True) as connection:
        _refuse_to_take_over(access, connection)
        bootstrap(connection, access.passwords(LOGIN_ROLES))
    migrate(access.dsn("vis_migrator"), clock(), report)
    refuse_unsafe(access)


def _refuse_to_take_over(access: Access, connection: psycopg.Connection) -> None:
    """Roles whose passwords are kept elsewhere belong to a running installation; new passwords would lock it out."""
    there = existing_roles(connection)
    if strangers := [role for role in there if not access.has_password(role)]:
        raise CannotStart(
            f"the database server has the roles of an installation already ({', '.join(strangers)}), but {access.data_dir} "
            "has no passwords for them: copy the directory `secrets` of that installation here, or use another server"
        )


def refuse_unsafe(access: Access) -> None:
    """Raise CannotStart when the smoke check finds that history could be changed."""
    if found := findings(access.dsn):
        raise CannotStart(
            "the ledger is not append-only for every role, so nothing is started:\n  "
            + "\n  ".join(found)
            + "\n`vis check` shows this list again after a repair"
        )


def _make_database(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone():
            connection.execute(f"create database {DATABASE}")
