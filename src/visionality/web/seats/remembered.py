"""Sums that are asked for every second by every open page, and made no more often than they are cheap."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Value = TypeVar("_Value")

LIMIT = 1000
"""Different questions that are remembered; past that all are forgotten, because filters come from outside."""


@dataclass(frozen=True, slots=True)
class _Answer(Generic[_Value]):
    value: _Value
    good_until: float


class Remembered(Generic[_Value]):
    """An answer stays good for `least` seconds, or for `times` as long as it took to make, if that is longer."""

    def __init__(self, least: float, times: float) -> None:
        self._least = least
        self._times = times
        self._answers: dict[Hashable, _Answer[_Value]] = {}

    def get(self, question: Hashable, make: Callable[[], _Value]) -> _Value:
        answer = self._answers.get(question)
        began = time.monotonic()
        if answer is not None and began < answer.good_until:
            return answer.value
        value = make()
        done = time.monotonic()
        if len(self._answers) >= LIMIT:
            self._answers.clear()
        self._answers[question] = _Answer(value, done + max(self._least, self._times * (done - began)))
        return value
