"""What the batches of both vendors have in common: requests that are answered later, a line each, as a plan has it.

A batch goes on by being looked at, so that a test says how often it is looked at before it ends. It keeps its plan,
because whoever looks later, a gateway's collector for one, sends none.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from visionality.sandbox.call import give, obeyed_plan, refuse
from visionality.sandbox.dialect import JSON, Dialect, Refusal, new_serial
from visionality.sandbox.exchange import LARGEST_BODY_BYTES, BodyTooLarge, Exchange, Header
from visionality.sandbox.generation import Generation, generate
from visionality.sandbox.plan import NO_PLAN, Plan
from visionality.sandbox.seen import SeenLog
from visionality.sandbox.stream import Event, Part, play

MOST_LINES: Final = 50_000  # OpenAI's own limit; Anthropic's is twice that
WINDOW_S: Final = 24 * 3600

Json = dict[str, Any]
Outcome = Literal["succeeded", "errored", "expired", "canceled"]
UNFINISHED: Final[dict[str, Outcome]] = {"failed": "errored", "expired": "expired", "cancelled": "canceled"}


class Line(msgspec.Struct, frozen=True):
    """One request of a batch."""

    custom_id: str
    body: bytes


class Result(msgspec.Struct, frozen=True):
    """What a line was answered; a line that never ran has no body."""

    custom_id: str
    outcome: Outcome
    serial: str
    status: int = 0
    body: bytes = b""


@dataclass(slots=True)
class Batch:
    """Lines of one dialect under one plan."""

    lines: list[Line]
    dialect: Dialect
    plan: Plan
    serial: str = field(default_factory=new_serial)
    created_s: int = field(default_factory=lambda: int(time.time()))
    looks: int = 0
    cancelled_s: int | None = None
    ended_s: int | None = None
    results: list[Result] = field(default_factory=list)
    _said: dict[int | None, Generation] = field(default_factory=dict)
    """What the model says under each limit of output: under one plan it is the same for each line."""

    @property
    def ends(self) -> str:
        """How it ends, or has ended: in the words of a plan."""
        return "cancelled" if self.cancelled_s is not None else self.plan.batch.ends

    def look(self) -> None:
        """Go on by one step. Raises Refusal when the plan has the provider away."""
        self.looks += 1
        planned = self.plan.batch
        if self.looks <= planned.outages:
            raise self.dialect.refusal(503, self.plan)
        if self.ended_s is not None:
            return
        if self.cancelled_s is not None or self.looks > planned.outages + planned.polls:
            self.ended_s = int(time.time())
            self.results = list(self._answered())

    def cancel(self) -> None:
        """The next look finds it cancelled. Once it has ended, nothing changes."""
        if self.ended_s is None and self.cancelled_s is None:
            self.cancelled_s = int(time.time())

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome == outcome for result in self.results)

    def _answered(self) -> Iterator[Result]:
        done = len(self.lines) if self.ends == "completed" else self.plan.batch.done
        for line in self.lines[:done]:
            yield self._answer(line)
        for line in self.lines[done:]:
            yield Result(line.custom_id, UNFINISHED[self.ends], new_serial())

    def _answer(self, line: Line) -> Result:
        planned, serial = self.plan.batch, new_serial()
        unreported = line.custom_id in planned.unreported
        plan = msgspec.structs.replace(self.plan, omit_usage=True) if unreported else self.plan
        try:
            if line.custom_id in planned.errored:
                raise self.dialect.refusal(400, plan)
            call = self.dialect.read(line.body)
            if call.streams:
                raise self.dialect.invalid("A request of a batch cannot be streamed.")
            if call.max_tokens not in self._said:
                self._said[call.max_tokens] = generate(plan, call.max_tokens)
            body = self.dialect.answer(call, self._said[call.max_tokens], plan, serial)
        except Refusal as refused:
            error = self.dialect.error_body(refused, serial)
            return Result(line.custom_id, "errored", serial, refused.status, error)
        return Result(line.custom_id, "succeeded", serial, 200, body)


@dataclass(slots=True)
class Download:
    """Lines to be fetched, each with its line end, as a batch's plan has them come."""

    lines: list[bytes]
    plan: Plan
    headers: tuple[Header, ...]
    fetches: int = 0

    async def answer(self, exchange: Exchange, headers: list[Header]) -> None:
        """Answer with them, and with the headers of their own. Raises ConnectionBroken when the plan breaks this fetch off."""
        self.fetches += 1
        planned, lines = self.plan.batch, list(self.lines)
        if planned.shuffled:
            random.shuffle(lines)
        breaks_after = None
        if self.fetches <= planned.breaks and lines:
            at = len(lines) // 2
            lines[at:] = [lines[at][: len(lines[at]) // 2]]
            breaks_after = len(lines)
        wire = Plan(
            chunk_delay_ms=self.plan.chunk_delay_ms,
            split_bytes=self.plan.split_bytes,
            break_after_chunks=breaks_after,
        )
        await exchange.start(200, [*headers, *self.headers])
        events = [Event(Part.DELTA, line) for line in lines]
        await play(exchange, events, wire, interlude=b"", error_event=b"")


def written(result: Result, line: bytes, plan: Plan) -> bytes:
    """A line of results with its line end: whole, or only its first half where the plan spoils it."""
    spoiled = result.custom_id in plan.batch.malformed
    return (line[: len(line) // 2] if spoiled else line) + b"\n"


async def answer_about(
    exchange: Exchange, dialect: Dialect, seen: SeenLog, tell: Callable[[bytes, Plan], Json | Download]
) -> None:
    """Answer a request about batches with what `tell` makes of its body and its plan; `tell` may raise Refusal.

    Raises ClientGone and ConnectionBroken.
    """
    serial = new_serial()
    headers = dialect.headers(serial, NO_PLAN)
    try:
        body = await exchange.body()
        if exchange.method == "POST":
            seen.hold(exchange, body)
        dialect.check_headers(exchange.headers)
        plan = await obeyed_plan(exchange, dialect)
        told = tell(body, plan)
    except BodyTooLarge:
        too_large = dialect.invalid(f"The request body passes {LARGEST_BODY_BYTES} bytes.", 413)
        await refuse(exchange, dialect, too_large, serial)
    except Refusal as refusal:
        await refuse(exchange, dialect, refusal, serial)
    else:
        if isinstance(told, Download):
            await told.answer(exchange, headers)
        else:
            await give(exchange, [*headers, JSON], msgspec.json.encode(told), plan)
