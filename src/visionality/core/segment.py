"""A run of the rows of a scope: numbered without a gap, added up, and closed into the header that is sealed.

A scope is a project of an organisation; rows without one belong to `-`. The header's form is in docs/audit/formats.md section 3.
"""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from visionality.core.canonical import timestamp
from visionality.core.key_document import written
from visionality.core.merkle import Frontier

NO_PROJECT = "-"
BEFORE_THE_FIRST = bytes(32)
"""What stands in the place of the segment before the first one."""


@dataclass(slots=True)
class Segment:
    """The open segment of a scope: a state that grows row by row. Totals are nano-units of currency: cost and billed."""

    org_id: UUID
    project_id: str
    segment_no: int = 1
    first_seq: int = 1
    last_seq: int = 0
    opened_at: datetime | None = None
    """When its first row was sealed."""
    first_at: datetime | None = None
    last_at: datetime | None = None
    """The least and the greatest `created_at` of its rows."""
    totals: dict[str, list[int]] = field(default_factory=dict)
    frontier: Frontier = field(default_factory=Frontier)
    prev: bytes = BEFORE_THE_FIRST

    @property
    def count(self) -> int:
        return self.last_seq - self.first_seq + 1

    def add(self, created_at: datetime, currency: str, cost_nusd: int, billed_nusd: int) -> None:
        """Give the next number to a row. Its leaf goes into the frontier with those of its neighbours, by whoever adds them."""
        self.last_seq += 1
        if self.first_at is None or created_at < self.first_at:
            self.first_at = created_at
        if self.last_at is None or created_at > self.last_at:
            self.last_at = created_at
        total = self.totals.get(currency)
        if total is None:
            total = self.totals[currency] = [0, 0]
        total[0] += cost_nusd
        total[1] += billed_nusd

    def header(self, closed_at: datetime) -> bytes:
        """The bytes of the segment when it is closed now."""
        assert self.frontier.size == self.count, "every row that was numbered has its leaf in the tree"
        return written(
            {
                "closed_at": timestamp(closed_at),
                "count": self.count,
                "first_at": None if self.first_at is None else timestamp(self.first_at),
                "first_seq": self.first_seq,
                "last_at": None if self.last_at is None else timestamp(self.last_at),
                "last_seq": self.last_seq,
                "org_id": str(self.org_id),
                "prev": self.prev.hex(),
                "project_id": self.project_id,
                "root": self.frontier.root().hex(),
                "segment_no": self.segment_no,
                "totals": {
                    currency: {"billed_nusd": str(billed), "cost_nusd": str(cost)}
                    for currency, (cost, billed) in self.totals.items()
                },
                "type": "segment",
                "v": 1,
            }
        )

    def after(self, leaf: bytes) -> "Segment":
        """The one that begins where this one, whose header has this leaf, ends."""
        return Segment(
            self.org_id, self.project_id, self.segment_no + 1, self.last_seq + 1, self.last_seq, prev=leaf
        )


def header_leaf(header: bytes) -> bytes:
    """The leaf of a segment by its bytes."""
    return sha256(b"\x00" + header).digest()
