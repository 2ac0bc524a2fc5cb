"""Rows that stand in a file of their own, one a line, in the order of the chains and their segments."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from vis_verify.canonical import NotCanonical, NotStrict, exactly
from vis_verify.chain import Header
from vis_verify.period import Period
from vis_verify.tally import Tally, Within
from vis_verify.verdict import Code, Refused

LONGEST_LINE = 64 * 1024**2
_ASK = "get the file of rows again from where the pack came from"

Expected = tuple[str, Sequence[Header]]
"""A project, and the headers of its segments."""


def read_rows(
    path: Path, org_id: str, chains: Sequence[Expected], within: Within, period: Period
) -> tuple[list[Tally], str]:
    """What the rows of each chain come to, and SHA-256 of the file. Raises Refused."""
    try:
        with path.open("rb") as file:
            lines = _Lines(file)
            tallies = [
                _tally(lines, org_id, project_id, headers, within, period) for project_id, headers in chains
            ]
            lines.must_end()
            return tallies, lines.digest.hexdigest()
    except OSError as error:
        came = f"it cannot be read ({error.strerror})"
        raise Refused(
            Code.USAGE, "the file that --rows names", came, "give the file that came with the pack"
        ) from None


def _tally(
    lines: _Lines, org_id: str, project_id: str, headers: Sequence[Header], within: Within, period: Period
) -> Tally:
    tally = Tally(org_id, project_id, within)
    for header in headers:
        tally.begin()
        for _ in range(header.count if header.is_within(period) else 0):
            line = lines.next()
            if line is None:
                return tally
            found = tally.look(line, 0)
            if found is None or found.end() != len(line) or not tally.add_alike(found):
                tally.add(line, lines.value(line))
    return tally


class _Lines:
    """The lines of a file, and the digest of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.number = 0

    def next(self) -> str | None:
        line = self._file.readline(LONGEST_LINE)
        self.digest.update(line)
        self.number += 1
        if not line:
            return None
        if not line.endswith(b"\n"):
            self._refuse(Code.UNREADABLE, "it is cut, or longer than any row")
        try:
            return line[:-1].decode()
        except UnicodeDecodeError:
            self._refuse(Code.UNREADABLE, "it is not UTF-8")

    def value(self, line: str) -> object:
        try:
            return exactly(line)
        except ValueError:
            self._refuse(Code.UNREADABLE, "it is not JSON")
        except NotStrict as refused:
            self._refuse(Code.UNREADABLE, str(refused))
        except NotCanonical as refused:
            self._refuse(Code.FORM, str(refused))

    def must_end(self) -> None:
        if self.next() is not None:
            self._refuse(Code.OMISSION, "the segments of the pack have no such row")

    def _refuse(self, code: Code, came: str) -> NoReturn:
        raise Refused(code, f"line {self.number} of the file of rows to be a row of the pack", came, _ASK)
