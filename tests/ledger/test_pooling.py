"""Through a pooler in transaction mode (pgbouncer) a gateway's statements meet another session each time, and all is well."""

from pathlib import Path

import asyncpg
import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import PASSWORDS
from pooler import pooled, program
from visionality.ledger.connection import AWAY
from visionality.ledger.desk import Desk
from visionality.postgres import Endpoint
from visionality.registry import issues
from visionality.registry.snapshot import SnapshotKeeper
from visionality.runtime.pooling import Pooled, connect


def endpoint_of(database, port=None) -> Endpoint:
    given = conninfo_to_dict(database.dsn("vis_writer"))
    return Endpoint(Path(str(given["host"])), port or int(str(given["port"])), "", "")


def as_writer(url: str) -> Pooled:
    return Pooled(url.replace("://", f"://vis_writer:{PASSWORDS['vis_writer']}@"))


@pytest.fixture
def address(database):
    program()
    if not conninfo_to_dict(database.dsn("vis_writer"))["host"].startswith("/"):
        pytest.skip("the pooler of this test goes to a server's socket")
    with pooled(endpoint_of(database), database.name, PASSWORDS) as url:
        yield as_writer(url)


async def backend(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("select pg_backend_pid()")


async def test_one_statement_goes_on_in_another_session(address):
    one, other = [await connect(address, opens_within=5, answers_within=5) for _ in range(2)]
    try:
        first = await backend(one)
        assert await backend(other) == first
        async with other.transaction():
            assert await backend(other) == first
            assert await backend(one) != first
        statements = [one.fetchval("select $1::int + 1", n) for n in range(3)]
        assert [await statement for statement in statements] == [1, 2, 3]
    finally:
        one.terminate()
        other.terminate()


async def test_control_data_is_read(address, org):
    keeper = SnapshotKeeper(address, 2.0, lambda _: None)
    await keeper.start()
    try:
        assert org in (await keeper.current()).organisations
    finally:
        await keeper.close()


async def test_issues_are_read_by_a_cursor_within_a_transaction(address, org):
    connection = await connect(address, opens_within=5, answers_within=5)
    try:
        assert (await issues._issues(connection, org)).issues == {}
    finally:
        connection.terminate()


async def test_a_pooler_whose_database_is_away_is_no_connection(database):
    program()
    with pooled(endpoint_of(database, port=1), database.name, PASSWORDS) as url:
        desk = Desk(as_writer(url), "test")
        with pytest.raises(AWAY):
            await desk.ask(backend)
