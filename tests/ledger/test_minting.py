"""What a gateway mints is written up first, in the one gap-free log of keys (promises K3, S5)."""

import asyncio
from itertools import pairwise
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from visionality.core.canonical import leaf_hash
from visionality.gateway.strangers import Strangers
from visionality.ledger.administration import append_key_event
from visionality.ledger.desk import Desk
from visionality.ledger.minting import Event, MintingDesk, NotRecorded
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7

ORG, OTHER = UUID(int=7), UUID(int=8)


@pytest.fixture
async def desks(database):
    made = [MintingDesk(database.url("vis_writer")) for _ in range(2)]
    yield made
    await closed(*made)


async def closed(*desks) -> None:
    for desk in desks:
        desk.close()
    for _ in range(3):  # a connection that is dropped is gone after the loop has turned
        await asyncio.sleep(0)


def minted(org_id: UUID = ORG, token_id: UUID | None = None) -> Event:
    return Event(org_id, utc_now(), "minted", uuid7(), "a@b", "key:1", {"jti": "x"}, token_id, 5_000)


def query(database, sql: str) -> list[dict]:
    with psycopg.connect(database.dsn("vis_super"), row_factory=dict_row) as connection:
        return connection.execute(sql).fetchall()


async def test_numbers_have_no_gap_over_two_gateways_and_the_control_plane(desks, database):
    def by_hand() -> None:
        with psycopg.connect(database.dsn("vis_jobs")) as connection, connection.cursor() as cursor:
            append_key_event(cursor, ORG, utc_now(), "issued", uuid7(), "a@b", "cli:x", {})

    events = [minted(org_id) for org_id in (ORG, OTHER) for _ in range(150)]
    await asyncio.gather(
        *(desks[at % 2].record(event) for at, event in enumerate(events)),
        *(asyncio.to_thread(by_hand) for _ in range(10)),
    )
    for org_id, count in ((ORG, 160), (OTHER, 150)):
        rows = query(database, f"select seq from vis.key_events where org_id = '{org_id}' order by seq")
        assert [row["seq"] for row in rows] == list(range(1, count + 1))


async def test_each_event_has_the_leaf_of_its_columns(desks, database):
    await asyncio.gather(*(desks[0].record(minted()) for _ in range(5)))
    for row in query(database, "select * from vis.key_events"):
        leaf = row.pop("leaf_hash")
        assert leaf == leaf_hash(row)


async def test_a_token_has_its_window_in_the_transaction_of_its_event(desks, database):
    token = uuid7()
    await desks[0].record(minted(token_id=token))
    (window,) = query(database, "select * from vis.budget_windows")
    assert (window["budget_id"], window["scope_value"]) == (token, str(token))
    assert (window["cap_nusd"], window["hard"]) == (5_000, True)
    with pytest.raises(NotRecorded):
        await desks[0].record(minted(token_id=token))  # the same window again
    assert len(query(database, "select 1 from vis.key_events")) == 1


async def test_strangers_are_a_few_rows_however_many_came(database):
    strangers, desk = Strangers(), Desk(database.url("vis_writer"), "test")
    now = utc_now()
    for number in range(5_000):
        strangers.came(now, "spend_token_invalid", "POST", f"/v1/{number}", "visk_live_Ab", "127.0.0.1")
    await strangers.write_down(desk, 1)
    strangers.came(now, "spend_token_invalid", "POST", "/later", "", "127.0.0.1")
    await strangers.write_down(desk, 1)
    (row,) = query(database, "select * from vis.strangers")
    assert row["times"] == 5_001
    assert row["example"] == {
        "method": "POST",
        "path": "/v1/0",
        "shown": "visk_live_Ab",
        "address": "127.0.0.1",
    }
    await closed(desk)


async def test_strangers_that_could_not_be_written_down_are_counted_still(database):
    strangers, desk = Strangers(), Desk("postgresql://nobody@127.0.0.1:1/none", "test")
    strangers.came(utc_now(), "spend_token_invalid", "POST", "/", "", "")
    with pytest.raises(OSError):
        await strangers.write_down(desk, 1)
    there = Desk(database.url("vis_writer"), "test")
    await strangers.write_down(there, 1)
    assert [row["times"] for row in query(database, "select times from vis.strangers")] == [1]
    await closed(there)


def test_beyond_a_thousand_strangers_a_second_their_answers_are_given_one_after_the_other():
    strangers = Strangers()
    came = [7.0 + number / 10_000 for number in range(2_000)]
    answered = [now + strangers.pause(now) for now in came]
    waited = [late > now for now, late in zip(came, answered, strict=True)]
    assert waited.index(True) >= 100
    assert all(waited[waited.index(True) :])
    last = answered[waited.index(True) :]
    assert {round(after - before, 6) for before, after in pairwise(last)} == {0.001}
    assert strangers.pause(10.0) == 0.0
