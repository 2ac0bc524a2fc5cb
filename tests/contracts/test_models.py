"""The Django models, the migrations and the tables say the same."""

import json
import subprocess
import sys

import psycopg
import pytest

from visionality.web.migrate import is_current, known_migrations

DESCRIBE = """
import json, sys
from io import StringIO
from visionality.web.start import MIGRATOR, start_django
start_django({MIGRATOR: sys.argv[1]})
from django.apps import apps
from django.core.management import call_command
from django.db import connection
words = StringIO()
try:
    call_command("makemigrations", check=True, dry_run=True, stdout=words)
    pending = ""
except SystemExit:
    pending = words.getvalue()
ours = [model for model in apps.get_models() if model.__module__.startswith("visionality.")]
tables = {
    model._meta.db_table: [[f.column, f.db_type(connection).replace(", ", ","), f.null] for f in model._meta.local_concrete_fields]
    for model in ours
}
print(json.dumps({"pending": pending, "tables": tables}))
"""


@pytest.fixture(scope="module")
def described(cluster, template) -> dict:
    """What Django thinks of its models, from a process of its own: it is set up once a process."""
    dsn = cluster.dsn(template, "vis_migrator")
    command = [sys.executable, "-W", "error", "-c", DESCRIBE, dsn]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def test_no_model_waits_for_a_migration(described):
    assert described["pending"] == ""


def test_every_model_has_the_columns_of_its_table(database, described):
    with database.as_role("vis_super") as connection:
        found = connection.execute(
            """select c.relname::text, a.attname::text,
                      replace(format_type(a.atttypid, a.atttypmod), 'character varying', 'varchar'), not a.attnotnull
                 from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                where c.relnamespace = 'vis_control'::regnamespace and c.relname = any(%s)""",
            [list(described["tables"])],
        ).fetchall()
    models = {(table, *column) for table, columns in described["tables"].items() for column in columns}
    assert models == set(found)
    assert len(described["tables"]) == 43


def test_what_is_applied_is_what_this_version_knows(database):
    with database.as_role("vis_auditor") as connection:
        applied = {name for (name,) in connection.execute("select migration from vis.schema_migrations_v1")}
    others = {"sessions", "account", "mfa", "usersessions", "socialaccount"}
    assert {name for name in applied if name.partition(".")[0] not in others} == known_migrations()
    with psycopg.connect(database.dsn("vis_migrator"), autocommit=True) as connection:
        assert is_current(connection)
