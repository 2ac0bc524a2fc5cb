"""What the control plane stored is what a gateway has in memory, field by field."""

import asyncio
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import psycopg
import pytest

from contracts.control import insert_all
from jobs.connecting import Desk, issue, page
from visionality.core.attribution import Tracked
from visionality.core.task_class_rules import ClassRule
from visionality.registry import issues, snapshot
from visionality.registry.snapshot import Grant, Organisation, SnapshotKeeper
from visionality.runtime.ids import uuid7

MADE = datetime(2026, 1, 1, tzinfo=UTC)
_SIX_COPIES = """
insert into vis_control.virtual_key
select made.* from (select gen_random_uuid() as id, k from vis_control.virtual_key k, generate_series(1, 6) offset 0) one
 cross join lateral jsonb_populate_record(k, jsonb_build_object('id', id, 'handle_hmac', sha256(uuid_send(id)))) made"""
"""Of each key."""


@pytest.fixture
async def loaded(database) -> Organisation:
    """An organisation with a row in every control table, beside another one; as a gateway reads it."""
    changed: dict = {}
    for slug in ("other", "arctrade"):
        with database.as_role("vis_web", org_id := uuid7()) as connection:
            insert_all(connection, org_id, slug)
            connection.execute(
                "update vis_control.organisation set time_zone = 'Europe/Berlin' where id = %s", [org_id]
            )
    keeper = SnapshotKeeper(
        database.url("vis_writer"), 2.0, lambda found: changed.update({found.org_id: found})
    )
    await keeper.start()
    found = await keeper.current()
    await keeper.close()
    assert found.organisations == changed
    return found.organisations[org_id]


def without_ids(records: tuple) -> list[dict]:
    """The records as their fields, but for the first, which is the id."""
    found = [asdict(record) for record in records]
    for one in found:
        del one[next(iter(one))]
    return found


async def test_a_gateway_has_every_rule_of_an_organisation(loaded):
    assert loaded.time_zone == "Europe/Berlin"
    assert without_ids(loaded.budgets) == [
        {
            "scope_kind": "project", "scope_value": "arctrade", "period": "month", "cap_nusd": 2_500_000_000_000,
            "hard": True, "soft": (60, 80), "near_cap": "refuse", "ceiling_nusd": None, "created_at": MADE,
        }
    ]  # fmt: skip
    assert without_ids(loaded.markups) == [
        {
            "scope_kind": "customer",
            "scope_value": "arctrade",
            "multiplier": Decimal("1.25"),
            "effective_from": MADE,
        }
    ]
    assert without_ids(loaded.hints) == [
        {
            "agent_sub": "agent@arctrade", "project": "", "task_class": "refactor", "model_from": "claude-opus",
            "prefer": "claude-haiku-4-5", "created_at": MADE,
        }
    ]  # fmt: skip
    assert without_ids(loaded.rate_limits) == [
        {
            "scope_kind": "key", "scope_value": "*", "requests_per_minute": 60, "tokens_per_minute": None,
            "created_at": MADE,
        }
    ]  # fmt: skip
    assert loaded.task_class_rules == (
        ClassRule("billing-review", "claude-code", "create_*", headers=(("x-vis-team", "arctrade"),)),
    )
    assert loaded.denied_project == "queue"
    assert [grant.business_unit for grant in loaded.grants] == [None]


async def test_the_columns_of_keys_are_the_fields_of_a_grant_in_their_order(database):
    """A grant is made by place."""
    connection = await asyncpg.connect(database.url("vis_writer"))
    try:
        statement = await connection.prepare(snapshot._SQL["keys"])
        columns = [attribute.name for attribute in statement.get_attributes()]
    finally:
        await connection.close()
    assert columns == [field.name for field in fields(Grant)]


async def test_calls_get_their_turn_while_many_keys_are_read(database, monkeypatch):
    """An organisation may have a hundred thousand keys, and each of its acts has every gateway read them again."""
    monkeypatch.setattr(snapshot, "AT_A_TIME", 2)
    with database.as_role("vis_web", org_id := uuid7()) as connection:
        insert_all(connection, org_id, "arctrade")
    database.run(_SIX_COPIES)
    turns, seen = 0, []
    made = snapshot._grant

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(snapshot, "_grant", lambda record: (seen.append(turns), made(record))[1])
    others = asyncio.create_task(take_turns())
    keeper = SnapshotKeeper(database.url("vis_writer"), 2.0, lambda _: None)
    await keeper.start()
    grants = (await keeper.current()).organisations[org_id].grants
    await keeper.close()
    others.cancel()
    assert len(grants) == len({grant.key_id for grant in grants}) == 7
    assert len(set(seen)) == 4


async def test_a_gateway_has_the_issues_of_a_tracker_that_was_read_whole_and_reads_them_again_when_they_move(
    database, org, monkeypatch
):
    """A4: the keys that an issue has or had, and its epic."""
    monkeypatch.setattr(issues, "APART", 0)
    desk = Desk(database, org)
    keeper = SnapshotKeeper(database.url("vis_writer"), 2.0, lambda _: None)
    await keeper.start()
    try:
        assert (await keeper.current()).organisations[org].tracked == Tracked()

        async def known(**expected: str | None) -> None:
            wanted = {key.replace("_", "-"): epic for key, epic in expected.items()}
            while (await keeper.current()).organisations[org].tracked.issues != wanted:
                await asyncio.sleep(0.05)

        async with asyncio.timeout(20):
            desk.run(page(issue("HPC-1", level=1), issue("HPC-2", parent_key="HPC-1")))
            await known(HPC_1="HPC-1", HPC_2="HPC-1")
            desk.later(minutes=10)
            desk.run(page(issue("SOCE-5", "2")))
            await known(HPC_1="HPC-1", HPC_2=None, SOCE_5=None)
            assert (await keeper.current()).organisations[org].tracked.projects == {"HPC", "SOCE"}
            database.run("update vis_control.connector set enabled = false")
            while (await keeper.current()).organisations[org].tracked != Tracked():
                await asyncio.sleep(0.05)
    finally:
        await keeper.close()


async def test_markups_come_in_the_order_in_which_they_are_in_force(database, org):
    with database.as_role("vis_web", org) as connection:
        for factor, day in (("3", "2026-03-01"), ("1", "2026-01-01"), ("2", "2026-02-01")):
            markup(connection, org, factor, day)
    keeper = SnapshotKeeper(database.url("vis_writer"), 2.0, lambda _: None)
    await keeper.start()
    found = (await keeper.current()).organisations[org]
    await keeper.close()
    assert [one.multiplier for one in found.markups] == [1, 2, 3]


def markup(connection: psycopg.Connection, org_id, factor: str, day: str) -> None:
    connection.execute(
        """insert into vis_control.markup (id, org_id, scope_kind, scope_value, multiplier, effective_from, created_at)
           values (%s, %s, 'customer', 'c', %s, %s, now())""",
        [uuid7(), org_id, factor, day],
    )
