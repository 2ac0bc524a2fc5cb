"""What rows come to, one after the other: the root over their leaves, their totals, their place in the period.

A tally believes nothing of a header: it says what the rows are, and `chain` compares.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from vis_verify.alike import LONGEST_KNOWN, MOST_KNOWN, Look, Objects, Shape, nothing, shape_of
from vis_verify.canonical import canonical
from vis_verify.merkle import Growing
from vis_verify.spelling import is_moment_form, nano, units
from vis_verify.verdict import Code, Refused

_REFUSE = "refuse the pack and ask whoever made it"
_MOST_SHAPES = 16


@dataclass
class Sum:
    """Rows and what they cost, in nano-units of one currency."""

    rows: int = 0
    cost: int = 0
    billed: int = 0

    def add(self, rows: int, cost: int, billed: int) -> None:
        self.rows += rows
        self.cost += cost
        self.billed += billed

    def said(self) -> dict[str, Any]:
        """As a pack's totals have it."""
        return {"billed": units(self.billed), "cost": units(self.cost), "rows": self.rows}


@dataclass
class Within:
    """The rows of a period, of all chains: sums by currency, usage source and price state, and the rates they name."""

    starts_at: str
    ends_at: str
    sums: dict[tuple[str, str, str], Sum] = field(default_factory=dict)
    _rates: set[tuple[int, tuple[tuple[str, str], ...]]] = field(default_factory=set)
    rows: int = 0

    def count(self, kind: Kind, cost: int, billed: int) -> None:
        self.rows += 1
        one = self.sums.get(kind.summed)
        if one is None:
            one = self.sums[kind.summed] = Sum()
        one.rows += 1
        one.cost += cost
        one.billed += billed
        if kind.rates is not None:
            self._rates.add(kind.rates)

    def prices(self) -> list[tuple[int, str]]:
        """Each version with each of its rates once, in order."""
        return sorted((version, canonical(dict(rates))) for version, rates in self._rates)

    def totals(self) -> dict[str, Any]:
        """As a pack's `totals` have them."""
        found: dict[str, Any] = {}
        for currency in sorted({key[0] for key in self.sums}):
            mine = [(key, one) for key, one in self.sums.items() if key[0] == currency]
            found[currency] = {
                **_added(one for _, one in mine).said(),
                "by_usage_source": _grouped((key[1], one) for key, one in mine),
                "by_price_state": _grouped((key[2], one) for key, one in mine),
            }
        return found


@dataclass
class Segment:
    """What the rows of one segment come to."""

    tree: Growing = field(default_factory=Growing)
    totals: dict[str, list[int]] = field(default_factory=dict)
    """By currency: cost and billed in nano-units."""
    first_at: str | None = None
    last_at: str | None = None


@dataclass(frozen=True)
class Kind:
    """What rows of this organisation and project have in common with many others."""

    currency: str
    summed: tuple[str, str, str]
    """Currency, usage source and price state."""
    rates: tuple[int, tuple[tuple[str, str], ...]] | None


@dataclass
class Tally:
    """What the rows of one chain come to. `wrong` is the first thing that no row may be."""

    org_id: object
    project_id: object
    within: Within
    segments: list[Segment] = field(default_factory=list)
    wrong: Refused | None = None
    look: Look = nothing
    _last: dict[int, int] = field(default_factory=dict)
    """By writer: the number of its last row."""
    _shape: Shape | None = None
    _shapes: int = 0
    _kinds: dict[tuple[str, ...], Kind] = field(default_factory=dict)
    _objects: Objects = field(default_factory=Objects)

    def begin(self) -> None:
        self.segments.append(Segment())

    def add(self, text: str, row: Any) -> None:
        """Count a row in the segment that was begun last. `text` is its one form."""
        segment = self.segments[-1]
        segment.tree.add(hashlib.sha256(b"\x00" + text.encode()).digest())
        if self.wrong is None:
            try:
                kind = self._kind(row)
                own = self._own(row)
            except Refused as refused:
                self.wrong = refused
            except (KeyError, TypeError, ValueError):
                came = "a column is missing or of another kind"
                self.wrong = Refused(
                    Code.UNREADABLE, f"{self._named()} to have the columns of a row", came, _REFUSE
                )
            else:
                self._count(segment, kind, *own)
                self._learn(text, row, kind)

    def add_alike(self, found: re.Match[str]) -> bool:
        """Count a row that `look` found. False when it is nothing that is known to be well: `add` says what it is."""
        shape, cut = self._shape, found.groups()
        if shape is None or self.wrong is not None:
            return False
        kind = self._kinds.get(shape.kind(cut))
        if kind is None:
            return False
        billed, cost, at, spelled_writer, spelled_number = shape.own(cut)
        writer, number = int(spelled_writer), int(spelled_number)
        if self._last.get(writer, 0) >= number:
            return False
        for place in shape.nested:
            if not self._objects.are_exact(cut[place]):
                return False
        segment = self.segments[-1]
        segment.tree.add(hashlib.sha256(b"\x00" + found[0].encode()).digest())
        self._count(segment, kind, at, int(cost), int(billed), writer, number)
        return True

    def _learn(self, text: str, row: dict[str, Any], kind: Kind) -> None:
        """Make ready for rows that are written like this one."""
        if self._shapes < _MOST_SHAPES:
            shape = shape_of(row, self._shape)
            if shape is not None and shape is not self._shape:
                self._shape, self.look = shape, shape.look
                self._shapes += 1
        found = self.look(text, 0)
        if self._shape is not None and found is not None and len(self._kinds) < MOST_KNOWN:
            words = self._shape.kind(found.groups())
            if sum(map(len, words)) <= LONGEST_KNOWN and all(map(self._objects.are_exact, words)):
                self._kinds[words] = kind

    def _kind(self, row: Any) -> Kind:
        """Raises Refused, KeyError, TypeError, ValueError for a row that is none of here."""
        if row["v"] != 1:
            came, do = f"it is of form {row['v']!r}", "get a newer verifier"
            raise Refused(Code.VERSION, f"{self._named()} to be of form 1", came, do)
        project = row["project_id"]
        if row["org_id"] != self.org_id or ("-" if project is None else project) != self.project_id:
            came = f"it is of organisation {row['org_id']}, project {project}"
            raise Refused(Code.SCOPE, f"{self._named()} to be of project {self.project_id}", came, _REFUSE)
        summed = row["currency"], row["usage_source"], row["price_state"]
        version, rates = row["price_version"], row["rates"]
        if not all(isinstance(one, str) for one in summed):
            raise TypeError("a column of another kind")
        if version is None or rates is None:
            return Kind(summed[0], summed, None)
        if not (isinstance(version, int) and isinstance(rates, dict)):
            raise TypeError("a column of another kind")
        named = version, tuple(rates.items())
        hash(named)  # refuses what holds lists and objects
        return Kind(summed[0], summed, named)

    def _own(self, row: Any) -> tuple[str, int, int, int, int]:
        """When it was, cost, billed, writer and number. Raises Refused, KeyError, TypeError, ValueError."""
        at, writer, number = row["created_at"], row["writer_no"], row["wseq"]
        if is_moment_form(at) is None or not (isinstance(writer, int) and isinstance(number, int)):
            raise ValueError("a column of another kind")
        if self._last.get(writer, 0) >= number:
            came = f"writer {writer} has {number} after {self._last[writer]}"
            raise Refused(Code.OMISSION, "the rows of a writer once each and in order", came, _REFUSE)
        return at, nano(row["cost_nusd"]), nano(row["billed_nusd"]), writer, number

    def _count(
        self, segment: Segment, kind: Kind, at: str, cost: int, billed: int, writer: int, number: int
    ) -> None:
        self._last[writer] = number
        sums = segment.totals.get(kind.currency)
        if sums is None:
            sums = segment.totals[kind.currency] = [0, 0]
        sums[0] += cost
        sums[1] += billed
        if segment.first_at is None or segment.last_at is None:
            segment.first_at = segment.last_at = at
        elif at < segment.first_at:
            segment.first_at = at
        elif at > segment.last_at:
            segment.last_at = at
        if self.within.starts_at <= at < self.within.ends_at:
            self.within.count(kind, cost, billed)

    def _named(self) -> str:
        place = self.segments[-1].tree.size
        return f"row {place} of segment {len(self.segments)} of {self.project_id}"


def _added(sums: Iterable[Sum]) -> Sum:
    total = Sum()
    for one in sums:
        total.add(one.rows, one.cost, one.billed)
    return total


def _grouped(named: Iterable[tuple[str, Sum]]) -> dict[str, Any]:
    found: dict[str, Sum] = {}
    for name, one in named:
        found.setdefault(name, Sum()).add(one.rows, one.cost, one.billed)
    return {name: found[name].said() for name in sorted(found)}
