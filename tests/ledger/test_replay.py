"""A proof counts once, whichever gateway it comes to and whatever becomes of the store (promise K4)."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from visionality.jobs.tidy import tidy
from visionality.ledger.replay import Nonce, ReplayStore, ReplayUnknown
from visionality.runtime.clock import utc_now

ORG = UUID(int=7)
SKEW = timedelta(seconds=60)


async def closed(*desks) -> None:
    for desk in desks:
        desk.close()
    for _ in range(3):  # a connection that is dropped is gone after the loop has turned
        await asyncio.sleep(0)


@pytest.fixture
async def stores(database):
    made = [ReplayStore(database.url("vis_writer"), SKEW) for _ in range(2)]
    yield made
    await closed(*made)


def a_nonce(number: int, org_id: UUID = ORG) -> Nonce:
    return Nonce(org_id, utc_now().replace(microsecond=0), number.to_bytes(32, "big"))


async def test_two_gateways_race_for_a_thousand_proofs_and_each_has_one_winner(stores):
    nonces = [a_nonce(number) for number in range(1000)]
    asked = [(nonce, store) for nonce in nonces for store in stores for _ in range(2)]
    random.Random(3).shuffle(asked)
    answers = await asyncio.gather(*(store.claim(nonce) for nonce, store in asked))
    won = [nonce for (nonce, _), is_first in zip(asked, answers, strict=True) if is_first]
    assert sorted(won) == sorted(nonces)


async def test_a_used_proof_stays_used_for_a_gateway_that_starts_later(stores, database):
    nonce = a_nonce(1)
    assert await stores[0].claim(nonce)
    later = ReplayStore(database.url("vis_writer"), SKEW)
    assert not await later.claim(nonce)
    await closed(later)


async def test_the_same_nonce_of_two_organisations_is_two_proofs(stores):
    assert await stores[0].claim(a_nonce(1))
    assert await stores[1].claim(a_nonce(1, UUID(int=8)))


async def test_a_store_that_is_away_says_so_and_then_goes_on(stores, database):
    used = a_nonce(1)
    assert await stores[0].claim(used)
    with psycopg.connect(database.dsn("vis_super")) as held:
        held.execute("lock table vis.nonces in access exclusive mode")
        with pytest.raises(ReplayUnknown):
            await stores[0].claim(a_nonce(2))
        with pytest.raises(ReplayUnknown):
            await stores[0].claim(a_nonce(3))
    assert await stores[0].claim(a_nonce(4))
    assert not await stores[0].claim(used)
    assert not await stores[1].claim(used)


async def test_a_connection_that_is_lost_is_made_again(stores, database):
    used = a_nonce(1)
    assert await stores[0].claim(used)
    database.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'visionality replay' and datname = current_database()"
    )
    answers = []
    while True not in answers:
        try:
            answers.append(await stores[0].claim(a_nonce(10 + len(answers))))
        except ReplayUnknown:
            answers.append(None)
        assert len(answers) < 10
    assert not await stores[1].claim(used)


async def test_a_database_on_another_timeline_decides_on_no_older_proof(stores, database):
    """As after a promotion (the real one is in tests/attacks/test_replay.py): the timeline was never seen before."""
    database.run("delete from vis.replay_fences")
    with pytest.raises(ReplayUnknown):
        await stores[0].claim(a_nonce(1))
    later = utc_now().replace(microsecond=0) + SKEW + timedelta(seconds=5)
    assert await stores[0].claim(Nonce(ORG, later, bytes(32)))
    with pytest.raises(ReplayUnknown):  # another gateway learns the same moment
        await stores[1].claim(a_nonce(2))


async def test_what_is_too_old_to_be_sent_again_is_forgotten_and_nothing_else(stores, database):
    now = utc_now().replace(microsecond=0)
    old = Nonce(ORG, now - 2 * SKEW - timedelta(seconds=31), bytes(32))
    young = Nonce(ORG, now - 2 * SKEW - timedelta(seconds=29), bytes(32))
    for nonce in (old, young):
        assert await stores[0].claim(nonce)
    assert tidy(database.dsn("vis_jobs"), now, SKEW) == 1
    assert not await stores[1].claim(young)
