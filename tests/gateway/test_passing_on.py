"""A stream's pieces go on the moment they come, in order and whole; its end and its faults are told by the next reading."""

import asyncio

import pytest

from gateway.wire_servers import Peer, ask, client, on_uvloop, provider
from visionality.gateway.upstream import UpstreamBroke, UpstreamSilent

IDLE = 0.2
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


class Stage:
    """A provider that says a piece each time it is told to, or hangs up."""

    def __init__(self) -> None:
        self.cues: asyncio.Queue[bytes] = asyncio.Queue()

    async def play(self, peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD)
        while piece := await self.cues.get():
            await peer.say(piece)


class Taker:
    """Notes what it is given; `until` is how many pieces it takes before it says stop, `asks` what it does after each."""

    def __init__(self, until: int = 99, asks=lambda: None) -> None:
        self.taken: list[bytes] = []
        self.until, self.asks = until, asks

    def __call__(self, piece: bytes) -> bool:
        self.taken.append(piece)
        self.asks()
        return len(self.taken) < self.until


@on_uvloop
async def test_pieces_go_on_as_they_come_and_reading_tells_the_end():
    stage = Stage()
    async with provider(stage.play) as place, client() as up:
        answer = await ask(up, place.url)
        rest = [b"cd", b"e"]
        take = Taker(asks=lambda: stage.cues.put_nowait(rest.pop(0)) if rest else None)
        stage.cues.put_nowait(b"ab")
        await answer.pass_on(take)
        assert take.taken == [b"ab", b"cd", b"e"]
        assert await answer.read() == b""
        answer.release()
        stage.cues.put_nowait(b"")


@on_uvloop
async def test_what_comes_after_a_taker_said_stop_is_for_reading():
    stage = Stage()
    async with provider(stage.play) as place, client() as up:
        answer = await ask(up, place.url)
        take = Taker(until=1)
        stage.cues.put_nowait(b"ab")
        await answer.pass_on(take)
        stage.cues.put_nowait(b"cde")
        assert (take.taken, await answer.read(), await answer.read()) == ([b"ab"], b"cde", b"")
        stage.cues.put_nowait(b"")


@on_uvloop
async def test_what_came_before_is_for_reading_and_nothing_is_passed_on_then():
    stage = Stage()
    async with provider(stage.play) as place, client() as up:
        answer = await ask(up, place.url)
        take = Taker()
        stage.cues.put_nowait(b"ab")
        while not answer.parts:
            await asyncio.sleep(0)
        await answer.pass_on(take)
        assert (take.taken, await answer.read()) == ([], b"ab")
        answer.close()
        stage.cues.put_nowait(b"")


@on_uvloop
async def test_an_answer_that_breaks_off_is_told_by_reading_after_all_that_came():
    stage = Stage()
    async with provider(stage.play) as place, client() as up:
        answer = await ask(up, place.url)
        take = Taker(asks=lambda: stage.cues.put_nowait(b""))
        stage.cues.put_nowait(b"ab")
        await answer.pass_on(take)
        assert take.taken == [b"ab"]
        with pytest.raises(UpstreamBroke, match="broke off"):
            await answer.read()


@on_uvloop
async def test_what_a_taker_raises_is_raised_by_reading():
    stage = Stage()

    def fails() -> None:
        raise LookupError("a fault of ours")

    async with provider(stage.play) as place, client() as up:
        answer = await ask(up, place.url)
        stage.cues.put_nowait(b"ab")
        await answer.pass_on(Taker(asks=fails))
        with pytest.raises(LookupError, match="a fault of ours"):
            await answer.read()
        answer.close()
        stage.cues.put_nowait(b"")


@on_uvloop
async def test_silence_is_measured_from_the_last_piece():
    stage = Stage()
    async with provider(stage.play) as place, client(idle_timeout=IDLE) as up:
        answer = await ask(up, place.url)
        loop = asyncio.get_running_loop()
        pieces = [b"b", b"c", b"d"]

        def later() -> None:
            if pieces:
                loop.call_later(IDLE / 2, stage.cues.put_nowait, pieces.pop(0))

        take = Taker(asks=later)
        stage.cues.put_nowait(b"a")
        await answer.pass_on(take)
        assert take.taken == [b"a", b"b", b"c", b"d"]
        with pytest.raises(UpstreamSilent, match="stopped sending"):
            await answer.read()
        stage.cues.put_nowait(b"")


@on_uvloop
async def test_a_call_that_is_cancelled_takes_no_more():
    stage = Stage()
    async with provider(stage.play) as place, client() as up:
        answer = await ask(up, place.url)
        take = Taker()
        passing = asyncio.ensure_future(answer.pass_on(take))
        await asyncio.sleep(0)
        passing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await passing
        stage.cues.put_nowait(b"ab")
        assert (await answer.read(), take.taken) == (b"ab", [])
        answer.close()
        stage.cues.put_nowait(b"")
