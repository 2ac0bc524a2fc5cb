"""Whether a call is tried again at its provider, and when.

Off unless the operator allows it for a provider: the official SDKs repeat by themselves. Only what failed before a
byte of an answer went to the client is tried again, and only what is transient: no connection, or an answer with one
of the statuses below (lessons of the SDKs' own lists; 529 is Anthropic's "overloaded"). Every attempt has its own
hold and its own row.
"""

from visionality.gateway.forward import Exchange

AT_MOST = 2
"""How often a call is tried again, at most, whatever an operator allows."""
LONGEST_WAIT = 5.0
"""Seconds: a provider that asks for more is not waited for; the client gets its answer, and its own patience decides."""
FIRST_WAIT = 0.25
"""Seconds to wait when the provider does not say how long; twice as long the next time."""

_TRANSIENT = frozenset({429, 500, 502, 503, 504, 529})


def wait_before_next(exchange: Exchange, made: int, allowed: int) -> float | None:
    """Seconds until another attempt, after `made` of them with `allowed` repeats; None when there is to be none."""
    if made > min(allowed, AT_MOST) or exchange.streaming or exchange.finish == "client_abort":
        return None
    if exchange.failure is not None:
        return _usual_wait(made) if exchange.failure[1] == "upstream_unreachable" else None
    if exchange.status not in _TRANSIENT:
        return None
    headers = dict(exchange.headers)
    if headers.get(b"x-should-retry") == b"false":
        return None
    wait = _asked_for(headers)
    if wait is None:
        return _usual_wait(made)
    return wait if wait <= LONGEST_WAIT else None


def _usual_wait(made: int) -> float:
    return FIRST_WAIT * 2.0 ** (made - 1)


def _asked_for(headers: dict[bytes, bytes]) -> float | None:
    """What the provider asks for, in seconds; None when it does not say, or not as a number."""
    for name, unit in ((b"retry-after-ms", 1000.0), (b"retry-after", 1.0)):
        said = headers.get(name, b"")
        if said.isdigit():
            return int(said[:9]) / unit
    return (
        None if b"retry-after" not in headers else LONGEST_WAIT + 1
    )  # a date: later than anybody waits here
