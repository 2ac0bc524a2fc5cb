"""A key service may take its time: the gateway's other calls do not wait for it (promises K6, G3)."""

import asyncio
import threading

import pytest

from visionality.core.call import Refusal
from visionality.gateway.organisation_keys import OrganisationKeys
from visionality.vault.keyproviders._core import KeyDisabled, KeysAway
from visionality.vault.sealing import Context, SealBroken

CONTEXT = Context("org", "kek", "master", 1, "organisation key")
KEY = bytes(32)


class Slow:
    """A KeyProvider that answers when it is let."""

    name = "slow"

    def __init__(self, answer=KEY):
        self.let = threading.Event()
        self.asked = 0
        self._answer = answer

    def unwrap(self, context, blob):
        self.asked += 1
        assert self.let.wait(30)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def made():
    """Makes OrganisationKeys, and closes them."""
    opened = []

    def make(keys):
        opened.append((OrganisationKeys(keys), keys))
        return opened[-1][0]

    yield make
    for organisation_keys, keys in opened:
        keys.let.set()
        organisation_keys.close()


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_the_loop_goes_on_while_a_key_is_unwrapped_and_all_share_one_answer(made):
    slow = Slow()
    keys = made(slow)
    waiting = [asyncio.create_task(keys.unwrap(CONTEXT, b"blob")) for _ in range(50)]
    await until(lambda: slow.asked)
    assert not any(task.done() for task in waiting)
    slow.let.set()
    assert await asyncio.gather(*waiting) == [KEY] * 50
    assert slow.asked == 1


async def test_a_caller_that_leaves_takes_nobody_elses_answer(made):
    slow = Slow()
    keys = made(slow)
    leaves, stays = (asyncio.create_task(keys.unwrap(CONTEXT, b"blob")) for _ in range(2))
    await until(lambda: slow.asked)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    slow.let.set()
    assert await stays == KEY


@pytest.mark.parametrize("trouble", [KeysAway("it throttles"), KeyDisabled("it is disabled")])
async def test_a_key_service_of_no_help_refuses_the_call_and_is_asked_again_by_the_next(made, trouble):
    slow = Slow(trouble)
    slow.let.set()
    keys = made(slow)
    for asked in (1, 2):
        with pytest.raises(Refusal) as refused:
            await keys.unwrap(CONTEXT, b"blob")
        assert (refused.value.status, refused.value.code) == (503, "key_service_unavailable")
        assert slow.asked == asked


async def test_a_broken_seal_is_told_as_such(made):
    slow = Slow(SealBroken("another master key"))
    slow.let.set()
    with pytest.raises(SealBroken):
        await made(slow).unwrap(CONTEXT, b"blob")


async def test_a_key_service_that_never_answers_refuses_the_call_in_time(made, monkeypatch):
    monkeypatch.setattr("visionality.gateway.organisation_keys.WAIT", 0.01)
    with pytest.raises(Refusal) as refused:
        await made(Slow()).unwrap(CONTEXT, b"blob")
    assert refused.value.code == "key_service_unavailable"
