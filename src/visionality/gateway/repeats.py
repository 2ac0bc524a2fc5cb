"""Callers that go on asking after a 402: told again at once, counted, and written up in one row.

Some clients repeat a call that a budget refused a thousand times a second. The first refusal of a key is a row like any
other. For a moment after it, calls of the same key that need as much of the same window are refused without asking the
ledger again; when the moment is over, one row says how many they were.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from visionality.core.call import Refusal
from visionality.core.row import Row
from visionality.gateway.budgets import Draw

MOMENT = 0.5
"""Seconds: by so much a caller may learn late that there is money again."""


@dataclass(slots=True)
class _Refused:
    amount_nusd: int
    """The least that was refused."""
    refusal: Refusal
    row: Row
    """As it was when it was refused."""
    times: int = 0


class Repeats:
    """What was refused a moment ago. `write` is given the row of a refused call, and how many more there were."""

    def __init__(self, write: Callable[[Row, int], None]) -> None:
        self._write = write
        self._refused: dict[tuple[UUID | None, UUID], _Refused] = {}

    def again(self, row: Row, draws: Iterable[Draw], amount_nusd: int) -> Refusal | None:
        """The refusal that a call of this row only repeats, counted; None for one that must be decided."""
        if not self._refused:
            return None
        for draw in draws:
            refused = self._refused.get((row.key_id, draw.window.window_id))
            if refused is not None and amount_nusd >= refused.amount_nusd:
                refused.times += 1
                return _repeated(refused.refusal)
        return None

    def remember(self, row: Row, window_id: UUID, amount_nusd: int, refusal: Refusal) -> None:
        """A call was refused by this window just now."""
        key = (row.key_id, window_id)
        refused = self._refused.get(key)
        if refused is None:
            self._refused[key] = _Refused(amount_nusd, _repeated(refusal), row)
            asyncio.get_running_loop().call_later(MOMENT, self._forget, key)
        else:
            refused.amount_nusd = min(amount_nusd, refused.amount_nusd)

    def forget_all(self) -> None:
        """Whatever was refused is to be decided again: the budgets are others now, or the gateway stops."""
        for key in list(self._refused):
            self._forget(key)

    def _forget(self, key: tuple[UUID | None, UUID]) -> None:
        refused = self._refused.pop(key, None)
        if refused is not None and refused.times:
            self._write(refused.row, refused.times)


def _repeated(refusal: Refusal) -> Refusal:
    """The same as a repetition. Never the same object: each time it is raised it would keep another call's frames."""
    return Refusal(refusal.status, refusal.code, refusal.message, headers=refusal.headers, is_repeat=True)
