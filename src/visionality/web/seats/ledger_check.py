"""What is known of the ledger itself, for a line on a page: when every row was last hashed anew, how many, and what was found."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from visionality.evidence.verifications import Standing
from visionality.web.seats.figures import counted

LATE = timedelta(hours=26)
"""A whole check that is older than this has stopped; it is made every night."""


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """`state` is good, bad or mind."""

    state: str
    words: str
    rows: str
    checked_at: datetime | None
    findings: tuple[str, ...]
    failing_places: int


def ledger_check(known: Standing, now: datetime) -> LedgerCheck:
    """What is known now, in words."""
    state, words = _said(known, now)
    rows = counted(known.rows)
    return LedgerCheck(state, words, rows, known.checked_at, known.findings, known.failing_places)


def _said(known: Standing, now: datetime) -> tuple[str, str]:
    if known.findings:
        return "bad", f"{len(known.findings)} found"
    if known.checked_at is None:
        return "mind", "not checked yet"
    if now - known.checked_at > LATE:
        return "mind", "whole when last checked"
    return "good", "whole"
