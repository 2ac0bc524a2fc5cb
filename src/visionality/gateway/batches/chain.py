"""Charging a batch: one hold after another, and a line with each.

The money of a batch stands in one hold. A line is charged by taking that hold, writing the line's row and making a new
hold of what is left, in one transaction. A hold can be taken once, so of several processes that read the same results one
gets on and the others stop; and after a crash the hold that stands tells that all lines before it have their rows.
"""

import hashlib
from dataclasses import dataclass, field
from uuid import UUID

from msgspec.structs import replace

from visionality.core.call import clean
from visionality.core.row import Row, draft_text
from visionality.gateway import settle
from visionality.gateway.admit import Upstream
from visionality.gateway.batches.results import Line
from visionality.gateway.batches.standing import Standing
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.ids import uuid7
from visionality.ledger.writer import Hold

CUSTOM_ID = "custom_id"
"""The tag of a line's row."""
_NAMED_BITS = 74
"""What a UUIDv7 has beside its time, its version and its variant."""


class ChargedElsewhere(Exception):
    """Another process goes on with this batch."""


def line_id(submission: UUID, custom_id: str) -> UUID:
    """The id of a line's row: the same whoever writes it. It is a UUIDv7 of the time of its submission's."""
    name = hashlib.sha256(submission.bytes + custom_id.encode()).digest()
    drawn = int.from_bytes(name, "big") & (1 << _NAMED_BITS) - 1
    high, low = drawn >> 62, drawn & (1 << 62) - 1
    return UUID(int=submission.int >> 80 << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


@dataclass(slots=True)
class Chain:
    """One reading of a batch's results. `settled` are the lines that have rows."""

    gateway: Gateway
    target: Target
    upstream: Upstream
    batch: Standing
    settled: set[UUID]
    hold: Hold = field(init=False)
    answered: int = 0
    """Lines with an answer, also those that were charged before."""
    unreadable: int = 0
    _draft: str = field(init=False)
    _read: set[UUID] = field(default_factory=set)
    _unpriced: Row | None = None

    def __post_init__(self) -> None:
        """The lines to come are looked for, after a crash, from the time of the first of them on."""
        batch, self.hold = self.batch, self.batch.hold
        now = self.gateway.clock()
        self._draft = batch.hold.draft or ""
        if not batch.is_begun:
            self._draft = draft_text(replace(batch.draft, created_at=now))

    async def charge(self, line: Line | None) -> None:
        """Write up one line, once. Raises ChargedElsewhere."""
        submission = self.batch.draft.corrects
        assert submission is not None
        if line is None:
            self.unreadable += 1
            return
        row_id = line_id(submission, line.custom_id)
        if row_id in self._read:
            return
        self._read.add(row_id)
        self.answered += line.metered is not None
        if row_id in self.settled:
            return
        row = self._row(line)
        row.id = row_id
        if row.price_state != "unknown":
            await self._write(row)
            return
        if self._unpriced is not None:
            await self._write(self._unpriced)
        self._unpriced = row

    async def end(self, succeeded: int) -> bool:
        """Give back what no line cost. False when lines are missing or unreadable: then it stays held, and is charged.

        A price that nobody knows counts with what was held for it, as far as budgets go: the last such line ends the
        chain. Raises ChargedElsewhere.
        """
        is_whole = not self.unreadable and self.answered >= succeeded
        if self._unpriced is not None:
            await self._write(self._unpriced, goes_on=not is_whole)
        elif is_whole:
            await self.gateway.writer.release(self.hold)
        return is_whole

    async def _write(self, row: Row, *, goes_on: bool = True) -> None:
        row.created_at = self.gateway.clock()
        hold = self.hold
        left_nusd = max(0, hold.amount_nusd - row.cost_nusd)
        whose = (hold.org_id, uuid7(), hold.request_id)
        rest = Hold(*whose, left_nusd, hold.expires_at, self._draft, hold.windows) if goes_on else None
        if not await self.gateway.writer.settle_once(row, hold, rest):
            raise ChargedElsewhere
        if rest is not None:
            self.hold = rest

    def _row(self, line: Line) -> Row:
        draft = self.batch.draft
        row = replace(draft, tags=dict(draft.tags or {}))
        if name := clean(line.custom_id, 128):
            row.tags = {**(row.tags or {}), CUSTOM_ID: name}
        metered, now = line.metered or settle.NOTHING, self.gateway.clock()
        settle.price(self.gateway, row, self.target, self.upstream, metered, now)
        row.finish = row.finish or line.finish
        row.status_code = line.status
        row.upstream_request_id = line.upstream_request_id
        if line.metered is None:
            row.decision, row.reason = "failed", line.reason
        elif line.metered.finish in {"upstream_error", "failed"}:
            row.decision, row.reason = "failed", "upstream_error"
        return row
