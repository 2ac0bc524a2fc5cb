"""What a person asks of a pack beside that it is intact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vis_verify.note import Note, Witness
from vis_verify.period import Days


@dataclass(frozen=True)
class Asked:
    """None and empty mean: not asked, and listed under what was not checked."""

    org: str | None = None
    """Id, slug or name."""
    project: str | None = None
    customer: str | None = None
    days: Days | None = None
    fingerprint: str | None = None
    previous: Note | None = None
    """A head of before that the person kept."""
    witnesses: tuple[Witness, ...] = ()
    """All of them must have signed."""
    rows: Path | None = None
    """The file of rows by reference."""
    fresh_within_days: int | None = None
    now: datetime | None = None
    """Needed with `fresh_within_days`; nothing else asks what time it is."""
    require_satisfied: bool = False
