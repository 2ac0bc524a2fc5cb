"""Credentials that can be tied to nobody: counted by minute and kind, with one example, never a row each (promise K5).

A flood of bad tokens costs a few rows a minute in an operational table, not the ledger. Beyond so many a second their
answers wait in line, so that whoever tries on one connection after another spends their time and not ours.
"""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from visionality.core.call import Refusal
from visionality.ledger.desk import Desk
from visionality.runtime.sql import statements

EVERY = 5.0
"""Seconds between two times of writing down."""
APART = 0.001
"""Seconds between two answers while more come than that; no client that only has a wrong key comes near it."""
AT_ONCE = 0.1
"""Seconds of answers that are given as they come before any waits."""

_SQL = statements("visionality.ledger.sql", "strangers.sql")
_json = msgspec.json.Encoder(order="sorted").encode


class Stranger(Refusal):
    """A credential that can be tied to nobody: it is counted, and leaves no row."""

    def __init__(self, code: str, message: str, shown: str = "") -> None:
        super().__init__(401, code, message)
        self.shown = shown
        """As much of it as may be shown."""


@dataclass(slots=True)
class _Counted:
    example: str
    times: int = 0


@dataclass(slots=True)
class Strangers:
    """What came and was not written down yet, and whether it comes as a flood."""

    _counted: dict[tuple[datetime, str], _Counted] = field(default_factory=dict)
    _due: float = 0.0
    """When the last answer is given."""

    def came(self, now: datetime, code: str, method: str, path: str, shown: str, address: str) -> None:
        """Count one. The example is the first of its minute: no query, no more of the credential than may be shown."""
        minute = now.replace(second=0, microsecond=0)
        counted = self._counted.get((minute, code))
        if counted is None:
            example = {"method": method, "path": path[:200], "shown": shown, "address": address}
            counted = self._counted[minute, code] = _Counted(_json(example).decode())
        counted.times += 1

    def pause(self, now: float) -> float:
        """Seconds that the answer to one that comes now, by a clock that only goes on, should wait for its turn."""
        self._due = max(self._due, now - AT_ONCE) + APART
        return max(0.0, self._due - now)

    async def write_down(self, desk: Desk, writer_no: int) -> None:
        """Make durable what was counted; when that fails it is counted still. Raises one of AWAY."""
        counted, self._counted = self._counted, {}
        lines = [(minute, writer_no, code, one.times, one.example) for (minute, code), one in counted.items()]
        if not lines:
            return
        try:
            await desk.ask(lambda connection: connection.executemany(_SQL["count"], lines))
        except BaseException:
            for key, one in counted.items():
                kept = self._counted.setdefault(key, _Counted(one.example))
                kept.times += one.times
            raise
