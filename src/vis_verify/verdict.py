"""What a check comes to: an exit code, one sentence, and the lines that a person reads.

The codes are of docs/audit/verify.md. None but 0 says that what was given may be relied on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """Why a check ended. Numbers are never given a second meaning; 70 is kept for time stamps."""

    VERIFIED = 0
    USAGE = 2
    INTERNAL = 3
    UNREADABLE = 10
    VERSION = 11
    TYPE = 12
    SIGNATURE = 20
    UNTRUSTED_KEY = 21
    KEY_EXPIRED = 22
    DIGEST = 30
    FORM = 31
    INCLUSION = 40
    CONSISTENCY = 41
    CHECKPOINT = 42
    WITNESS = 43
    OMISSION = 50
    TOTALS = 51
    SCOPE = 60
    STALE = 61
    UNSATISFIED = 80


MEANINGS = {
    Code.VERIFIED: "all checks passed",
    Code.USAGE: "usage",
    Code.INTERNAL: "the verifier failed",
    Code.UNREADABLE: "unreadable",
    Code.VERSION: "a version that this verifier does not know",
    Code.TYPE: "something else than what was asked for",
    Code.SIGNATURE: "bad signature",
    Code.UNTRUSTED_KEY: "untrusted key",
    Code.KEY_EXPIRED: "key expired or revoked",
    Code.DIGEST: "a fingerprint differs",
    Code.FORM: "not in its one form",
    Code.INCLUSION: "inclusion not shown",
    Code.CONSISTENCY: "not an extension of the earlier head",
    Code.CHECKPOINT: "checkpoint not signed by the log",
    Code.WITNESS: "a witness is missing",
    Code.OMISSION: "gap or omission",
    Code.TOTALS: "totals differ",
    Code.SCOPE: "another scope or period",
    Code.STALE: "stale",
    Code.UNSATISFIED: "intact, but a control is not satisfied",
}


class Refused(Exception):
    """A check that did not pass, with what was expected, what came, and what to do."""

    def __init__(self, code: Code, expected: str, came: str, do: str) -> None:
        self.code = code
        self.sentence = f"Expected {expected}, but {came}: {do}."
        super().__init__(self.sentence)


@dataclass
class Verdict:
    """What came out. `facts` are what --json prints; whatever is in it was checked, or stands under `not_checked`."""

    exit_code: int
    sentence: str
    lines: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def refusal(refused: Refused, what: str, facts: dict[str, Any]) -> Verdict:
    """The verdict of a check that did not pass. `facts` are those that had been established."""
    code = refused.code
    lines = [f"NOT VERIFIED  {what} (exit {int(code)}: {MEANINGS[code]})", refused.sentence]
    if "fingerprint" in facts:
        lines.append(f"fingerprint   {facts['fingerprint']}")
    said = {
        "verdict": "not verified",
        "exit_code": int(code),
        "meaning": MEANINGS[code],
        "sentence": refused.sentence,
    }
    return Verdict(int(code), refused.sentence, [shown(line) for line in lines], {**facts, **said})


def approval(lines: list[str], facts: dict[str, Any], what: str) -> Verdict:
    """The verdict of a check that passed in full."""
    sentence = f"Every check that was asked for passed; what was not checked is listed ({len(facts['not_checked'])})."
    head = [f"VERIFIED      {what}", *lines, "NOT checked", *(f"  - {one}" for one in facts["not_checked"])]
    said = {"verdict": "verified", "exit_code": 0, "meaning": MEANINGS[Code.VERIFIED], "sentence": sentence}
    return Verdict(0, sentence, [shown(line) for line in head], {**facts, **said})


def shown(text: str) -> str:
    """Text for a terminal: whatever could move a cursor, hide or turn round other text is spelled out."""
    return "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in text)
