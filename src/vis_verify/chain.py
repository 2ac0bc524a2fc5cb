"""A chain of segments: that it has no gap, that its rows are those it was sealed with, that it reaches far enough."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from vis_verify import merkle, shape
from vis_verify.canonical import canonical
from vis_verify.period import Period
from vis_verify.spelling import moment, nano
from vis_verify.tally import Segment, Tally
from vis_verify.verdict import Code, Refused

_HEADER = {
    "closed_at", "count", "first_at", "first_seq", "last_at", "last_seq", "org_id", "prev", "project_id", "root",
    "segment_no", "totals", "type", "v",
}  # fmt: skip
_ASK = "refuse it and ask for one that was made from the ledger as it was sealed"
_NO_ONE = "0" * 64
_MOST_LAG = timedelta(hours=1)


@dataclass(frozen=True)
class Header:
    """What was sealed of one segment. `content` are its bytes."""

    content: bytes
    name: str
    count: int
    root: bytes
    first_at: str | None
    last_at: str | None
    closed_at: str
    totals: dict[str, list[int]]

    def is_within(self, period: Period) -> bool:
        """Whether it has rows from within the period, as its times say."""
        if self.first_at is None or self.last_at is None:
            return False
        return self.first_at < period.ends_at and self.last_at >= period.starts_at

    def lies_inside(self, period: Period) -> bool:
        """Whether all its rows are from within the period."""
        if self.first_at is None or self.last_at is None:
            return True
        return period.starts_at <= self.first_at and self.last_at < period.ends_at


def read_headers(headers: list[Any], org_id: str, project_id: str) -> list[Header]:
    """All segments of a scope from the first one on. Raises Refused when one is missing, moved or of another scope."""
    found: list[Header] = []
    prev, first_seq = _NO_ONE, 1
    for number, value in enumerate(headers, 1):
        name = f"segment {number} of {project_id}"
        said = shape.fields(value, _HEADER, name)
        if (said["type"], said["v"]) != ("segment", 1):
            raise Refused(
                Code.VERSION, f"{name} to be of form 1", f"it is {said['v']!r}", "get a newer verifier"
            )
        if (said["org_id"], said["project_id"]) != (org_id, project_id):
            came = f"it is of organisation {said['org_id']}, project {said['project_id']}"
            raise Refused(Code.SCOPE, f"{name} to be of this organisation and project", came, _ASK)
        count = shape.number(said["count"], f"the count of {name}")
        expected = {
            "segment_no": number,
            "first_seq": first_seq,
            "last_seq": first_seq + count - 1,
            "prev": prev,
        }
        for field, right in expected.items():
            if said[field] != right:
                came = f"it is {said[field]!r}"
                raise Refused(Code.OMISSION, f"{field} of {name} to be {right!r}", came, _ASK)
        found.append(_header(said, name, count))
        prev, first_seq = merkle.leaf(found[-1].content).hex(), first_seq + count
    if not found:
        raise Refused(Code.OMISSION, f"the segments of {project_id}", "there is none", _ASK)
    return found


def _header(said: dict[str, Any], name: str, count: int) -> Header:
    times = (said["first_at"], said["last_at"])
    if count == 0:
        if times != (None, None) or said["totals"] != {} or said["root"] != merkle.EMPTY_ROOT.hex():
            raise Refused(Code.OMISSION, f"{name} to say nothing of rows that it has not", "it does", _ASK)
    elif shape.time(times[0], f"first_at of {name}") > shape.time(times[1], f"last_at of {name}"):
        raise Refused(Code.UNREADABLE, f"{name} to begin before it ends", f"it has {times}", _ASK)
    totals = shape.has(said["totals"], (), f"the totals of {name}")
    return Header(
        content=canonical(said).encode(),
        name=name,
        count=count,
        root=shape.digest(said["root"], f"the root of {name}"),
        first_at=times[0],
        last_at=times[1],
        closed_at=shape.time(said["closed_at"], f"closed_at of {name}"),
        totals={currency: _amounts(both, f"the totals of {name}") for currency, both in totals.items()},
    )


def _amounts(value: Any, what: str) -> list[int]:
    both = shape.fields(value, {"billed_nusd", "cost_nusd"}, what)
    try:
        return [nano(shape.text(both["cost_nusd"], what)), nano(shape.text(both["billed_nusd"], what))]
    except ValueError:
        raise Refused(Code.UNREADABLE, f"{what} to be whole nano-units", "they are not", _ASK) from None


def must_reach(newest: Header, period: Period, generated_at: str) -> None:
    """Raises Refused when the newest segment was closed before all rows of the period can have been in it."""
    if generated_at >= period.ends_at:
        is_late, needed = newest.closed_at >= period.ends_at, f"at {period.ends_at} or later"
    else:
        lag = moment(generated_at) - moment(newest.closed_at)
        is_late, needed = lag <= _MOST_LAG, f"less than an hour before the pack was made at {generated_at}"
    if not is_late:
        what = f"{newest.name}, the newest, to be closed {needed}"
        raise Refused(Code.OMISSION, what, f"it was closed at {newest.closed_at}", _ASK)


def must_match(headers: list[Header], tally: Tally, period: Period) -> None:
    """Raises Refused when the rows are not those that were sealed, and all of those within the period."""
    if len(tally.segments) != len(headers):
        came = f"there are {len(tally.segments)} for {len(headers)}"
        raise Refused(Code.OMISSION, f"a list of rows for each segment of {tally.project_id}", came, _ASK)
    for header, segment in zip(headers, tally.segments):
        _must_be_whole(header, segment, period)
    if tally.wrong is not None:
        raise tally.wrong
    for header, segment in zip(headers, tally.segments):
        if segment.tree.size:
            _must_add_up(header, segment)


def _must_be_whole(header: Header, segment: Segment, period: Period) -> None:
    expected = header.count if header.is_within(period) else 0
    if segment.tree.size != expected:
        came = f"{segment.tree.size} are there"
        raise Refused(Code.OMISSION, f"{expected} rows of {header.name}", came, _ASK)
    if expected and segment.tree.root() != header.root:
        came = "they make another: one was changed, moved, left out or put in"
        raise Refused(Code.OMISSION, f"the rows of {header.name} to make its root", came, _ASK)


def _must_add_up(header: Header, segment: Segment) -> None:
    if segment.totals != header.totals:
        came = f"they come to {segment.totals}"
        raise Refused(Code.TOTALS, f"the rows of {header.name} to come to {header.totals}", came, _ASK)
    if (segment.first_at, segment.last_at) != (header.first_at, header.last_at):
        came = f"they are from {segment.first_at} to {segment.last_at}"
        what = f"the rows of {header.name} to be from {header.first_at} to {header.last_at}"
        raise Refused(Code.OMISSION, what, came, _ASK)
