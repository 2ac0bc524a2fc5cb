"""A step in the life of a hold: one row of `vis.budget_events`, and the leaf that it has."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from visionality.core.canonical import Shape

EventKind = Literal["reserve", "deny", "settle", "release", "expire", "overage"]


class Event(msgspec.Struct):
    """The columns that are hashed, in the table's order; amounts in nano-USD."""

    org_id: UUID
    created_at: datetime
    id: UUID
    writer_no: int
    wseq: int
    kind: EventKind
    hold_id: UUID
    request_id: UUID
    windows: list[UUID]
    amount_nusd: int
    """What was held; of an `overage`, by how much the cost was more."""
    actual_nusd: int | None
    """What the windows were charged; None where nothing was."""
    actor: str | None


event_leaf = Shape(Event).leaf_hash
