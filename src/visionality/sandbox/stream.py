"""Server-sent events as a provider sends them, and as a plan has them broken, cut or delayed.

Source: the WHATWG HTML standard, section "Server-sent events" (line ends may be LF or
CRLF; a line that begins with a colon is a comment).
"""

import asyncio
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, NamedTuple

from visionality.sandbox.exchange import ConnectionBroken, Exchange
from visionality.sandbox.plan import Plan

COMMENT: Final = b": simulated\n\n"
EVENTS_BETWEEN_LOOKS: Final = 64  # how often an undelayed stream looks whether its client is still there


class Part(Enum):
    """What an event is to the stream: plans count the deltas and leave out the end."""

    FRAME = "frame"
    DELTA = "delta"
    TERMINAL = "terminal"


class Event(NamedTuple):
    part: Part
    data: bytes


class Pieces:
    """Cuts a stream's bytes into pieces of one size, regardless of event borders."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = b""

    def of(self, data: bytes) -> Iterator[bytes]:
        data = self._rest + data
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:]
        return (data[at : at + self._size] for at in range(0, whole, self._size))

    def rest(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest


class EventWriter:
    """Writes events to the client in the plan's line ends and pieces."""

    def __init__(self, exchange: Exchange, plan: Plan) -> None:
        self._exchange = exchange
        self._crlf = plan.crlf
        self._pieces = Pieces(plan.split_bytes) if plan.split_bytes else None

    async def write(self, data: bytes) -> None:
        if self._crlf:
            data = data.replace(b"\n", b"\r\n")  # JSON text holds no raw line feed
        if self._pieces is None:
            await self._exchange.write(data)
            return
        for piece in self._pieces.of(data):
            await self._exchange.write(piece)
            await asyncio.sleep(0)  # the event loop joins what is written in one round

    async def flush(self) -> None:
        if self._pieces is not None and (rest := self._pieces.rest()):
            await self._exchange.write(rest)


def until_stopped(events: Iterable[Event], stop_after: int | None) -> Iterator[Event]:
    """The events up to an early end: after `stop_after` deltas, and in any case before the terminal ones."""
    deltas = 0
    for event in events:
        if stop_after is not None:
            has_begun = deltas > 0 or event.part is Part.DELTA
            if event.part is Part.TERMINAL or (deltas >= stop_after and has_begun):
                return
        yield event
        deltas += event.part is Part.DELTA


async def play(
    exchange: Exchange, events: Iterable[Event], plan: Plan, *, interlude: bytes, error_event: bytes
) -> None:
    """Write the body of a stream to its planned end.

    Raises ClientGone when the client leaves, ConnectionBroken when the plan breaks the stream.
    """
    writer = EventWriter(exchange, plan)
    await write_events(exchange, writer, until_stopped(events, plan.stop_after), plan, interlude)
    if plan.stream_error_after_chunks is not None:
        await writer.write(error_event)
    await writer.flush()
    if plan.break_after_chunks is not None:
        raise ConnectionBroken
    await exchange.finish()


async def write_events(
    exchange: Exchange, writer: EventWriter, events: Iterable[Event], plan: Plan, interlude: bytes
) -> None:
    delay_ms = plan.chunk_delay_ms
    deltas = 0
    for number, event in enumerate(events, start=1):
        if event.part is Part.DELTA:
            if delay_ms and deltas:
                await exchange.pause(delay_ms)
            if plan.comments:
                await writer.write(interlude)
            deltas += 1
        await writer.write(event.data)
        if not delay_ms and number % EVENTS_BETWEEN_LOOKS == 0:
            await exchange.pause(0)
