"""Migrations: one forward-only history, run as `vis_migrator` in the role of the owner."""

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files

import psycopg

from visionality.runtime.sql import statements

MONTHS_AHEAD = 3
"""How many monthly partitions exist from the current month on, the current one included."""

_APPS = ("accounts", "policy", "issuing", "correcting", "connecting", "api", "schema")


class SchemaUnknown(Exception):
    """The database has another history than this code."""


def migrate(dsn: str, now: datetime, report: Callable[[str], None]) -> None:
    """Apply what is missing and make partitions ahead. `dsn` is the migrator's."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not is_current(connection):
            report("applying migrations")
            _run_django(dsn)
        add_partitions(connection, now)


def add_partitions(connection: psycopg.Connection, now: datetime) -> None:
    """Make this month's partitions and those of the months ahead, where they are missing."""
    query = statements("visionality.ledger.sql", "partitions.sql")["ahead"]
    with connection.transaction():
        connection.execute("set local role vis_owner")
        connection.execute(query, {"first": now.date(), "months": MONTHS_AHEAD})


def is_current(connection: psycopg.Connection) -> bool:
    """Whether every migration that this code knows has been applied.

    Raises SchemaUnknown when the database is ahead of the code by a step that old code must not outlive.
    """
    with connection.transaction():
        connection.execute("set local role vis_owner")
        if not connection.execute("select to_regclass('vis.schema_migrations_v1') is not null").fetchone()[0]:  # type: ignore[index]
            return False
        applied = {row[0] for row in connection.execute("select migration from vis.schema_migrations_v1")}
    known = known_migrations()
    if beyond := sorted(name for name in applied - known if "_post_" in name):
        raise SchemaUnknown(
            f"the database has migrations that this version does not know ({', '.join(beyond)}): use the newer version"
        )
    return known <= applied


def missing_migrations(connection: psycopg.Connection) -> list[str]:
    """Migrations that this code knows and the database has not, for a process that only reads the history."""
    applied = {row[0] for row in connection.execute("select migration from vis.schema_migrations_v1")}
    return sorted(known_migrations() - applied)


def known_migrations() -> set[str]:
    """The names of our own migrations, as `app.name`, read off the files."""
    return {
        f"{app}.{file.name.removesuffix('.py')}"
        for app in _APPS
        for file in files(f"visionality.web.{app}.migrations").iterdir()
        if file.name[:4].isdigit()
    }


def _run_django(dsn: str) -> None:
    from visionality.web.start import MIGRATOR, start_django  # noqa: PLC0415 -- most starts have nothing to apply

    start_django({MIGRATOR: dsn})
    from django.core.management import call_command  # noqa: PLC0415 -- Django must be set up first

    call_command("migrate", database=MIGRATOR, verbosity=0, interactive=False)
