"""A real PostgreSQL server for the tests, and a fresh database of the current schema for each test that wants one.

The server is the embedded one, made anew for each worker; VIS_TEST_DATABASE_URL names another, as its superuser: one
that may be thrown away, because the roles get known passwords.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlencode
from uuid import UUID

import hypothesis
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kept import Kept
from product import first_start
from visionality.ledger.bootstrap import LOGIN_ROLES, bootstrap
from visionality.postgres.binaries import find_binaries
from visionality.postgres.cluster import Cluster
from visionality.runtime.sql import statements

hypothesis.settings.register_profile(
    "this suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("this suite")
"""No test fails because the machine was slow: the first to draw a text waits for Hypothesis to read all of Unicode."""
LONG = {"test_api_fuzz.py", "test_budgets.py", "test_connector_commands.py", "test_privileges.py"}
"""Files of a minute each."""
PASSWORDS = {role: f"{role}-for-tests" for role in LOGIN_ROLES}
SUPERUSER = "vis_super"

MIGRATE = """
import sys
from visionality.runtime.clock import utc_now
from visionality.web.migrate import migrate
migrate(sys.argv[1], utc_now(), lambda words: None)
"""


@dataclass(frozen=True)
class Server:
    """A running server, as its superuser reaches it."""

    superuser_dsn: str

    def dsn(self, database: str, role: str = SUPERUSER) -> str:
        """The address of a database for a role of ours, or for the superuser."""
        who = {} if role == SUPERUSER else {"user": role, "password": PASSWORDS[role]}
        return make_conninfo(self.superuser_dsn, dbname=database, **who)

    def run(self, *commands: str, database: str = "postgres") -> None:
        """Run statements as the superuser, each in a transaction of its own."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            for command in commands:
                connection.execute(command)


@dataclass(frozen=True)
class Database:
    """One fresh database with the current schema. Nothing in it, and no other test in it."""

    server: Server
    name: str
    kept: Kept = field(default_factory=Kept, compare=False)

    def dsn(self, role: str) -> str:
        """The libpq address for a role, or for `vis_super`."""
        return self.server.dsn(self.name, role)

    def url(self, role: str) -> str:
        """The same as a URI, which asyncpg takes too."""
        given = {name: str(value) for name, value in conninfo_to_dict(self.dsn(role)).items()}
        return f"postgresql:///{quote(given.pop('dbname'), safe='')}?{urlencode(given)}"

    @property
    def superuser(self) -> str:
        """What `vis_super` is called on this server."""
        return str(conninfo_to_dict(self.server.superuser_dsn)["user"])

    def run(self, *commands: str) -> None:
        """Run statements as the superuser."""
        self.server.run(*commands, database=self.name)

    @contextmanager
    def as_role(self, role: str, org_id: UUID | None = None) -> Iterator[psycopg.Connection]:
        """One transaction of a role, within an organisation if one is given; committed at the end."""
        with self.kept.connection(self.dsn(role)) as connection:
            if org_id is not None:
                connection.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])
            yield connection


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that at the end no worker waits for another that has just begun with it."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whoever began the run takes away what its products were copied from."""
    if not hasattr(config, "workerinput"):
        rmtree(first_start(), ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Server]:
    """The server that the tests run on: the embedded one, or the one of VIS_TEST_DATABASE_URL."""
    if outside := os.environ.get("VIS_TEST_DATABASE_URL"):
        yield _outside(outside)
    else:
        with server_of(None) as server:
            yield server


@pytest.fixture(scope="session")
def template(cluster: Server) -> Iterator[str]:
    """The name of a database with the current schema, to clone from."""
    with template_on(cluster) as name:
        yield name


@pytest.fixture
def database(cluster: Server, template: str) -> Iterator[Database]:
    """A fresh database with the current schema."""
    with clone_of(cluster, template) as fresh:
        yield fresh


@pytest.fixture
def org(database: Database) -> UUID:
    """The id of the organisation `default`, which every installation starts with."""
    return default_org(database)


def default_org(database: Database) -> UUID:
    with database.as_role("vis_auditor") as connection:
        ((org_id,),) = connection.execute("select org_id from vis.orgs_v1 where slug = 'default'").fetchall()
    assert isinstance(org_id, UUID)
    return org_id


@contextmanager
def server_of(bin_dir: Path | None) -> Iterator[Server]:
    """An embedded server of its own, from the given programs or from the first ones found."""
    with TemporaryDirectory(prefix="vis-test-") as directory:
        Path(directory).chmod(0o755)  # the server's account passes through it when root runs the tests
        manager = Cluster(Path(directory) / "data", find_binaries(bin_dir), lambda words: None)
        endpoint = manager.start()
        try:
            yield Server(endpoint.dsn("postgres"))
        finally:
            manager.stop()


@contextmanager
def template_on(server: Server) -> Iterator[str]:
    """A migrated database that nobody is connected to: Django, which is set up once a process, runs in its own."""
    name = _new_name()
    server.run(f"create database {name}")
    with psycopg.connect(server.dsn(name)) as connection:
        bootstrap(connection, PASSWORDS)
    subprocess.run([sys.executable, "-c", MIGRATE, server.dsn(name, "vis_migrator")], check=True, timeout=60)
    yield name
    server.run(f"drop database {name} with (force)")


@contextmanager
def clone_of(server: Server, template: str) -> Iterator[Database]:
    """A database like the template. Rights on a database are not cloned with it, so they are given again."""
    name = _new_name()
    server.run(f"create database {name} template {template}")
    server.run(statements("visionality.ledger.sql", "bootstrap.sql")["database"], database=name)
    fresh = Database(server, name)
    try:
        yield fresh
    finally:
        fresh.kept.close()
        server.run(f"drop database {name} with (force)")


def _outside(dsn: str) -> Server:
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.exit(
            "VIS_TEST_DATABASE_URL names one server and its roles belong to all workers: run without -n", 4
        )
    server = Server(dsn)
    with psycopg.connect(dsn) as connection:
        used = connection.execute(
            """select datname from pg_database d join pg_shdepend s on s.dbid = d.oid
                where s.refobjid = to_regrole('vis_owner') and datname !~ '^vis_test_' limit 1"""
        ).fetchone()
    if used:
        pytest.exit(
            f"VIS_TEST_DATABASE_URL names a server whose database {used[0]} is in use: give one to throw away",
            4,
        )
    return server


def _new_name() -> str:
    return f"vis_test_{token_hex(6)}"
