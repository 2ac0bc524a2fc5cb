"""How many requests and tokens a minute a rule lets pass, as one gateway counts them.

A sliding window over whole seconds: what was admitted is summed up by the second, and a second leaves the sum only
when all of it is more than a minute ago. So no minute, wherever it begins, has more than the limit in it; a caller at
the limit waits a second longer than strictly needed, at most. A token bucket lets twice its limit pass in a minute
(a full bucket and its refill), and a log of every request grows with the limit: here it is 61 small counts a value.

Tokens are an estimate when a call is admitted and are put right when it is settled. What it used less goes back to
the second it was taken in; what it used more counts from the moment that is known, however long the call took.

Of n gateways each allows its share, and those that count together theirs together. What was counted is lost with them.
"""

import math
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

WINDOW = 60
"""Seconds in any stretch of which no more than the limit is admitted."""

Unit = Literal["requests", "tokens"]

_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a rule allows each of its values in any minute. None: no limit; 0: nothing."""

    requests: int | None = None
    tokens: int | None = None

    def shared_by(self, gateways: int, together: int = 1) -> "Limit":
        """The part of `together` of `gateways` (1 or more): rounded down, but what is more than nothing stays so."""
        return Limit(_share(self.requests, gateways, together), _share(self.tokens, gateways, together))


def _share(limit: int | None, gateways: int, together: int) -> int | None:
    return None if limit is None else min(limit, max(1, limit * together // gateways))


@dataclass(frozen=True, slots=True)
class Wait(Generic[_K]):
    """Why a call is not admitted now, and when it can be."""

    key: _K
    unit: Unit
    limit: int
    seconds: int | None
    """Whole seconds until it would be, if nobody else came; None when no wait helps: it alone is over the limit."""


@dataclass(slots=True)
class _Second:
    """What was admitted from `at` on, before `at` + 1."""

    at: int
    requests: int = 0
    tokens: int = 0


@dataclass(slots=True)
class _Minute:
    """What one value used lately: the seconds that count, oldest first, and their sums."""

    seconds: deque[_Second] = field(default_factory=deque)
    requests: int = 0
    tokens: int = 0

    def add(self, at: int, requests: int, tokens: int) -> None:
        if not self.seconds or self.seconds[-1].at < at:
            self.seconds.append(_Second(at))
        self.seconds[-1].requests += requests
        self.seconds[-1].tokens += tokens
        self.requests += requests
        self.tokens += tokens

    def give_back(self, at: int, tokens: int) -> None:
        for second in self.seconds:
            if second.at == at:
                second.tokens -= tokens
                self.tokens -= tokens

    def forget(self, before: int) -> None:
        while self.seconds and self.seconds[0].at < before:
            second = self.seconds.popleft()
            self.requests -= second.requests
            self.tokens -= second.tokens


class RateLimiter(Generic[_K]):
    """What each value of a rule used in the last minute; a key stands for the two.

    `now` is the seconds of a clock that never goes back.
    """

    def __init__(self) -> None:
        self._minutes: dict[_K, _Minute] = {}
        """The one that was added to last stands at the end, so that the idle ones are found at the front."""

    def __len__(self) -> int:
        """How many values are remembered: those that used something in the minute before the last call came."""
        return len(self._minutes)

    def seconds(self, key: _K) -> list[tuple[int, int, int]]:
        """What a value used, as `recall` takes it: moment, requests and tokens, oldest first."""
        minute = self._minutes.get(key) or _Minute()
        return [(second.at, second.requests, second.tokens) for second in minute.seconds]

    def recall(self, key: _K, seconds: Iterable[tuple[int, int, int]]) -> None:
        """Know what a value used, of which nothing is known yet."""
        for at, requests, tokens in seconds:
            self._add(at, key, requests, tokens)

    def take(self, now: float, limits: Mapping[_K, Limit], tokens: int) -> Wait[_K] | None:
        """Count a call of so many estimated tokens towards all `limits`, or none of them; None when it is admitted.

        Otherwise the longest wait among the limits that it would pass.
        """
        self._forget_idle(now)
        waits = [wait for key, limit in limits.items() for wait in self._waits(now, key, limit, tokens)]
        if waits:
            return max(waits, key=_patience)
        for key in limits:
            self._add(now, key, 1, tokens)
        return None

    def correct(self, now: float, keys: Iterable[_K], taken_at: float, estimated: int, actual: int) -> None:
        """Put right the tokens of a call that these keys admitted at `taken_at`; once a call."""
        for key in keys:
            if actual > estimated:
                self._add(now, key, 0, actual - estimated)
            elif minute := self._minutes.get(key):
                minute.give_back(math.floor(taken_at), estimated - actual)

    def _waits(self, now: float, key: _K, limit: Limit, tokens: int) -> list[Wait[_K]]:
        minute = self._minutes.get(key) or _Minute()
        minute.forget(_oldest(now))
        waits: list[Wait[_K]] = []
        if limit.requests is not None and minute.requests + 1 > limit.requests:
            freed = [(second.at, second.requests) for second in minute.seconds]
            seconds = _until(now, freed, minute.requests + 1 - limit.requests)
            waits.append(Wait(key, "requests", limit.requests, seconds))
        if limit.tokens is not None and minute.tokens + tokens > limit.tokens:
            freed = [(second.at, second.tokens) for second in minute.seconds]
            seconds = _until(now, freed, minute.tokens + tokens - limit.tokens)
            waits.append(Wait(key, "tokens", limit.tokens, seconds))
        return waits

    def _add(self, now: float, key: _K, requests: int, tokens: int) -> None:
        minute = self._minutes.pop(key, None) or _Minute()
        self._minutes[key] = minute
        minute.add(math.floor(now), requests, tokens)

    def _forget_idle(self, now: float) -> None:
        while self._minutes:
            key, minute = next(iter(self._minutes.items()))
            if minute.seconds[-1].at >= _oldest(now):
                return
            del self._minutes[key]


def _oldest(now: float) -> int:
    """The first second that still counts: the one in which the moment a minute ago lies."""
    return math.floor(now) - WINDOW


def _until(now: float, freed: list[tuple[int, int]], needed: int) -> int | None:
    """Whole seconds until so much has left the window; None when all that is in it is not enough."""
    for at, amount in freed:
        needed -= amount
        if needed <= 0:
            return math.ceil(at + WINDOW + 1 - now)
    return None


def _patience(wait: Wait[_K]) -> float:
    return math.inf if wait.seconds is None else wait.seconds
