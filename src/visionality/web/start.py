"""Django, given its databases and secrets before it is set up."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import django
from psycopg.conninfo import conninfo_to_dict

MIGRATOR = "migrator"


def start_django(databases: Mapping[str, str], secret_key: str = "") -> None:
    """Set Django up, or point it at other databases. `databases` maps an alias (default, migrator) to an address.

    Without any, it is only loaded.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "visionality.web.settings"
    from django.conf import settings  # noqa: PLC0415 -- must follow the line above

    if databases:
        settings.DATABASES = {alias: _database(alias, dsn) for alias, dsn in databases.items()}
        settings.DATABASES.setdefault("default", settings.DATABASES.get(MIGRATOR))
    settings.SECRET_KEY = secret_key or settings.SECRET_KEY
    django.setup()
    _forget_connections()


@contextmanager
def organisation_context(org_id: UUID | str) -> Iterator[None]:
    """One transaction that sees and writes this organisation's rows and no other's."""
    from django.db import connection, transaction  # noqa: PLC0415 -- Django must be set up first

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])
        yield


def _forget_connections() -> None:
    """Django reads DATABASES once; a process that migrates and then serves uses it under two roles."""
    from django.db import connections  # noqa: PLC0415 -- Django must be set up first

    for open_one in connections.all(initialized_only=True):
        open_one.close()
        del connections[open_one.alias]
    connections.__dict__.pop("settings", None)  # there is no public way to read DATABASES again
    vars(connections)["_settings"] = None


def _database(alias: str, dsn: str) -> dict[str, Any]:
    given = conninfo_to_dict(dsn)
    options = "-c search_path=vis_control"
    if alias == MIGRATOR:
        options += " -c role=vis_owner -c lock_timeout=10s"
    named = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return {
        "ENGINE": "django.db.backends.postgresql",
        **{ours: str(given.pop(theirs)) for theirs, ours in named.items() if theirs in given},
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**given, "options": options},
    }
