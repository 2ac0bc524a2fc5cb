"""One model call from its request to its answer, the same way in both dialects."""

from typing import Final, NoReturn

from visionality.sandbox.dialect import JSON, Call, Dialect, Refusal, new_serial
from visionality.sandbox.exchange import LARGEST_BODY_BYTES, BodyTooLarge, ConnectionBroken, Exchange, Header
from visionality.sandbox.generation import generate
from visionality.sandbox.plan import HEADER, NO_PLAN, Plan, PlanError, parse
from visionality.sandbox.seen import SeenLog
from visionality.sandbox.stream import play

GARBAGE: Final = b"<html><body>simulated: this is not JSON</body></html>"
MISSING_BYTES: Final = 64  # how much longer than the body a lying Content-Length is


async def answer_call(exchange: Exchange, dialect: Dialect, seen: SeenLog) -> None:
    """Answer a model request.

    It counts as seen once it has come whole and with a credential, before anything is answered;
    an invalid or planned-to-fail request counts too. Raises ClientGone and ConnectionBroken.
    """
    serial = new_serial()
    try:
        body = await exchange.body()
        seen.hold(exchange, body)
        dialect.check_headers(exchange.headers)
        seen.record(exchange)
        plan = await obeyed_plan(exchange, dialect)
        call = dialect.read(body)
        dialect.check_plan(call, plan)
    except BodyTooLarge:
        too_large = dialect.invalid(f"The request body passes {LARGEST_BODY_BYTES} bytes.", 413)
        await refuse(exchange, dialect, too_large, serial)
    except Refusal as refusal:
        await refuse(exchange, dialect, refusal, serial)
    else:
        await (stream if call.streams else answer_whole)(exchange, dialect, call, plan, serial)


async def obeyed_plan(exchange: Exchange, dialect: Dialect) -> Plan:
    """The plan, once it has had what it wants before an answer. Raises Refusal and ClientGone."""
    plan = read_plan(exchange, dialect)
    if plan.hang:
        await exchange.until_gone()
    if plan.first_delay_ms:
        await exchange.pause(plan.first_delay_ms)
    if plan.status is not None:
        raise dialect.refusal(plan.status, plan)
    return plan


def read_plan(exchange: Exchange, dialect: Dialect) -> Plan:
    header = exchange.headers.get(HEADER)
    if not header:
        return NO_PLAN
    try:
        return parse(header)
    except PlanError as error:
        raise dialect.invalid(str(error)) from error


async def refuse(exchange: Exchange, dialect: Dialect, refusal: Refusal, serial: str) -> None:
    headers = [*dialect.headers(serial, NO_PLAN), JSON, *dialect.error_headers(refusal)]
    await exchange.answer(refusal.status, headers, dialect.error_body(refusal, serial))


async def answer_whole(exchange: Exchange, dialect: Dialect, call: Call, plan: Plan, serial: str) -> None:
    headers = [*dialect.headers(serial, plan), JSON]
    await give(exchange, headers, dialect.answer(call, generate(plan, call.max_tokens), plan, serial), plan)


async def give(exchange: Exchange, headers: list[Header], body: bytes, plan: Plan) -> None:
    """A whole answer, or what the plan makes of it. Raises ConnectionBroken."""
    if plan.garbage:
        await exchange.answer(200, headers, GARBAGE)
        return
    if plan.content_length_lie:
        await lie_about_length(exchange, headers, body)
    await exchange.answer(200, headers, body)


async def lie_about_length(exchange: Exchange, headers: list[Header], body: bytes) -> NoReturn:
    """Promise more bytes than come. Raises ConnectionBroken."""
    await exchange.start(200, [*headers, (b"content-length", b"%d" % (len(body) + MISSING_BYTES))])
    await exchange.write(body)
    raise ConnectionBroken


async def stream(exchange: Exchange, dialect: Dialect, call: Call, plan: Plan, serial: str) -> None:
    headers = [*dialect.headers(serial, plan), *call.stream_headers]
    if plan.content_length_lie:
        await lie_about_length(exchange, headers, b"")
    await exchange.start(200, headers)
    if plan.garbage:
        await exchange.finish(b"data: " + GARBAGE + b"\n\n")
        return
    await play(
        exchange,
        dialect.events(call, generate(plan, call.max_tokens), plan, serial),
        plan,
        interlude=dialect.interlude(),
        error_event=dialect.error_event(plan, serial),
    )
