"""Issue 8, operating it: `/readyz` says why a process cannot serve, and takes it back by itself."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from gateway.calls import ask
from product import running, set_up
from visionality.postgres import read_endpoint
from visionality.postgres.access import DATABASE

PROCESSES = ("gateway", "web", "jobs")
LEAVE = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{DATABASE}' and pid <> pg_backend_pid()"


@pytest.fixture(scope="module")
def product():
    """Its writers beat twice a second."""
    with running(fence_after="5") as product:
        set_up(product)
        yield product


def told(product, name, path="/readyz"):
    reply = ask(product.summary[name], "GET", path, [])
    return reply.status, reply.body.decode().strip()


def run(product, *statements, database="postgres"):
    with psycopg.connect(read_endpoint(product.data_dir).dsn(database), autocommit=True) as superuser:
        for statement in statements:
            superuser.execute(statement)


@contextmanager
def broken(product, statements, mended, database="postgres") -> Iterator[None]:
    run(product, *statements, database=database)
    try:
        yield
    finally:
        run(product, *mended, database=database)


def until_all_are_ready(product):
    product.until(lambda: all(told(product, name) == (200, "ok") for name in PROCESSES))


def until_told(product, name, sentence):
    product.until(lambda: told(product, name)[0] == 503 and sentence in told(product, name)[1])


@pytest.mark.parametrize("name", PROCESSES)
def test_a_database_that_takes_nobody_in_is_away(product, name):
    until_all_are_ready(product)
    close = f"alter database {DATABASE} allow_connections "
    with broken(product, [close + "false", LEAVE], [close + "true"]):
        until_told(product, name, "the ledger's database is away")
        assert told(product, name, "/livez") == (200, "ok")
    until_all_are_ready(product)


def test_a_database_that_dies_is_told_and_forgotten(product):
    until_all_are_ready(product)
    os.kill(product.pid("postgres"), signal.SIGQUIT)
    product.until(lambda: told(product, "gateway")[0] == 503)
    until_all_are_ready(product)


@pytest.mark.parametrize("name", ["gateway", "jobs"])
def test_a_database_that_takes_no_writes_is_told_as_such(product, name):
    until_all_are_ready(product)
    only_read = f"alter database {DATABASE} set default_transaction_read_only = on"
    may_write = f"alter database {DATABASE} reset default_transaction_read_only"
    with broken(product, [only_read, LEAVE], [may_write, LEAVE]):
        until_told(product, name, "takes no writes")
    until_all_are_ready(product)


def test_control_data_that_cannot_be_read_is_told_with_its_bound(product):
    until_all_are_ready(product)
    away, back = (
        f"alter table vis.{one} rename to {other}"
        for one, other in (("org_revisions", "aside"), ("aside", "org_revisions"))
    )
    with broken(product, [away], [back], DATABASE):
        until_told(product, "gateway", "the control data is older than 2 s")
        assert "vis migrate" in told(product, "gateway")[1]
        reply = ask(product.gateway, "GET", "/metrics", [])
        assert b"visionality_ready 0" in reply.body
    until_all_are_ready(product)


def test_migrations_that_this_code_knows_and_the_database_lacks_are_told(product):
    until_all_are_ready(product)
    away, back = (
        f"alter table vis.{one} rename to {other}"
        for one, other in (("schema_migrations_v1", "aside"), ("aside", "schema_migrations_v1"))
    )
    with broken(product, [away], [back], DATABASE):
        assert told(product, "web") == (503, "the ledger's database lacks migrations: run `vis migrate`")
    until_all_are_ready(product)


def test_no_word_of_it_tells_where_the_database_is_or_who_may_ask_it(product):
    until_all_are_ready(product)
    dsn = read_endpoint(product.data_dir).dsn("vis")
    close = f"alter database {DATABASE} allow_connections "
    with broken(product, [close + "false", LEAVE], [close + "true"]):
        for name in PROCESSES:
            until_told(product, name, "away")
            assert not any(
                part in told(product, name)[1] for part in (dsn, "vis_", "127.0.0.1", str(product.data_dir))
            )
    until_all_are_ready(product)
