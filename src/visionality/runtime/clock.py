"""Time is UTC and is passed in. This is the one place that asks the machine for it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- the one clock that everything else is given
