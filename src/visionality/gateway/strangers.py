"""Credentials that can be tied to nobody: counted by minute and kind, with one example, never a row each (promise K5).

A flood of bad tokens costs a few rows a minute in an operational table, not the ledger. Beyond so many a second each
answer waits, so that whoever tries on one connection after another spends their time and not ours.
"""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from visionality.core.call import Refusal
from visionality.ledger.desk import Desk
from visionality.runtime.sql import statements

EVERY = 5.0
"""Seconds between two times of writing down."""
AT_ONCE = 1_000
"""So many a second are answered as they come; no client that only has a wrong key comes near it."""
PAUSE = 1.0
"""Seconds that the answer to each further one waits."""

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
    _second: int = 0
    _in_second: int = 0

    def came(self, now: datetime, code: str, method: str, path: str, shown: str, address: str) -> None:
        """Count one. The example is the first of its minute: no query, no more of the credential than may be shown."""
        minute = now.replace(second=0, microsecond=0)
        counted = self._counted.get((minute, code))
        if counted is None:
            example = {"method": method, "path": path[:200], "shown": shown, "address": address}
            counted = self._counted[minute, code] = _Counted(_json(example).decode())
        counted.times += 1

    def pause(self, now: float) -> float:
        """Seconds that the answer to one that has come by now, by a clock that only goes on, should wait."""
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        return PAUSE if self._in_second > AT_ONCE else 0.0

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
