"""The statement of an evidence pack, piece by piece, out of values (docs/audit/formats.md, section 5).

A pack of a month has more rows than fit into memory, so its rows pass by once: they are written and added up on their way, and
what they add up to stands behind them, where the order of names in the canonical form happens to have it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from visionality.core.canonical import timestamp
from visionality.core.control import Control
from visionality.core.money import usd
from visionality.core.period import Period
from visionality.core.row import Row

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:visionality:evidence-pack:v1"
WITHOUT_PROJECT = "-"
"""The scope of rows that are of no project."""

ScopeKind = Literal["organisation", "project", "customer"]

_jcs = msgspec.json.Encoder(order="sorted").encode
_ALWAYS = (
    (
        "It shows that nothing was left out of what was numbered when it was sealed; that every call of the organisation "
        "went through the gateway, it does not show."
    ),
    (
        "The organisation holds the keys that sign it. A ledger that was made anew under the same keys is told apart by a "
        "head that somebody else kept or co-signed, and by nothing in here."
    ),
    "Controls are judged by the product's own records. That is evidence of how they operate and no auditor's opinion.",
    "Totals count every row of the period: refused calls, corrections and what the simulated provider answered.",
)
"""Limits of every pack."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pack is about. A customer is the set of its projects, an organisation all of them and `-`."""

    kind: ScopeKind
    name: str
    projects: tuple[str, ...]
    """Sorted."""


@dataclass(frozen=True, slots=True)
class Organisation:
    id: UUID
    name: str
    slug: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A project's segments, and where the newest stands in the log of segments."""

    project_id: str
    headers: Sequence[bytes]
    """From number 1 on, the bytes that their leaves are made of."""
    index: int
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Previous:
    """The head that the scope's previous pack carried, and the proof that the one of now extends it."""

    checkpoint: str
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class RowsFile:
    """Rows by reference."""

    name: str
    sha256: str
    bytes: int
    count: int


class Header(msgspec.Struct, frozen=True):
    """What a pack needs to know of a segment."""

    segment_no: int
    first_seq: int
    last_seq: int
    count: int
    root: str
    closed_at: datetime
    first_at: datetime | None
    last_at: datetime | None

    def meets(self, period: Period) -> bool:
        """Whether some of its rows may be from within the period."""
        if self.first_at is None or self.last_at is None:
            return False
        return self.first_at < period.end and self.last_at >= period.start


header_of = msgspec.json.Decoder(Header).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """All that is known of a pack before its rows are read."""

    pack_id: UUID
    generated_at: datetime
    version: str
    """Of the program that makes it."""
    installation: UUID
    org: Organisation
    scope: Scope
    period: Period
    policy_revision: int
    controls: Sequence[Control]
    mappings: Any
    """What the controls support in other frameworks, in the form of section 5."""
    chains: Sequence[Chain]
    checkpoint: str
    previous: Previous | None
    keys: Sequence[tuple[str, str]]
    """(Fingerprint, role) of each key that signed what is in it."""
    limits: Sequence[str]


@dataclass(slots=True)
class Tally:
    """What the rows of a period add up to, and the rates that they name."""

    period: Period
    _sums: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    _rates: dict[tuple[int, tuple[tuple[str, str], ...]], None] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Count a row when it is from within the period."""
        if not self.period.start <= row.created_at < self.period.end:
            return
        sums = self._sums.setdefault((row.currency, row.price_state, row.usage_source), [0, 0, 0])
        sums[0] += 1
        sums[1] += row.cost_nusd
        sums[2] += row.billed_nusd
        if row.rates is not None and row.price_version is not None:
            self._rates[row.price_version, tuple(row.rates.items())] = None

    @property
    def rows(self) -> int:
        return sum(rows for rows, _, _ in self._sums.values())

    def totals(self) -> dict[str, dict[str, Any]]:
        """By currency, decimal strings of it, with the shares of each price state and source of usage."""
        found: dict[str, dict[str, Any]] = {}
        for currency in sorted({currency for currency, _, _ in self._sums}):
            ours = {key[1:]: sums for key, sums in self._sums.items() if key[0] == currency}
            found[currency] = {
                **_total(ours.values()),
                "by_price_state": _by(0, ours),
                "by_usage_source": _by(1, ours),
            }
        return found

    def prices(self) -> list[dict[str, Any]]:
        """Each set of rates once, sorted by its version and then by its bytes."""
        lines = {(version, _jcs(dict(rates))): dict(rates) for version, rates in self._rates}
        return [{"price_version": version, "rates": lines[version, key]} for version, key in sorted(lines)]


def statement(
    pack: Pack,
    tally: Tally,
    rows: Literal["embedded", "none"] | RowsFile,
    rows_of: Callable[[Chain], Iterable[Iterable[bytes]]],
) -> Iterator[bytes]:
    """The payload's bytes, in pieces.

    `rows_of` gives, for each header of a chain, the bytes of its rows, and counts them in the tally as it goes; it is asked
    for embedded rows only. Other rows are counted before.
    """
    yield b'{"_type":' + _jcs(STATEMENT_TYPE) + b',"predicate":' + _jcs(_before_ledger(pack))[:-1]
    yield b',"ledger":{"chains":['
    for number, chain in enumerate(pack.chains):
        yield (b"," if number else b"") + b'{"headers":[' + b",".join(chain.headers) + b'],"inclusion":'
        yield _jcs({"index": chain.index, "path": _hexed(chain.path)})
        yield b',"project_id":' + _jcs(chain.project_id) + b',"rows":'
        if rows == "embedded":
            yield from _lists(rows_of(chain))
            yield b"}"
        else:
            yield b"null}"
    yield b"]," + _jcs(_ledger_end(pack, rows))[1:]
    yield b"," + _jcs(_after_ledger(pack, tally))[1:]
    yield b"," + _jcs({"predicateType": PREDICATE_TYPE, "subject": _subjects(pack, rows)})[1:]


def limits(scope: Scope, period: Period, generated_at: datetime, rows: str) -> list[str]:
    """What a pack does not show, in sentences."""
    said = list(_ALWAYS)
    if scope.kind != "organisation":
        said.append("Controls are those of the whole organisation and not of this scope alone.")
    if scope.kind == "customer":
        said.append("The customer's projects are those that it had when the pack was made.")
    if generated_at < period.end:
        said.append(
            f"The period had not ended when it was made: what came after {timestamp(generated_at)} is not in it."
        )
    if rows == "none":
        said.append(
            "Its rows are not in it: sums of whole segments can be checked, but not those of the period."
        )
    return said


def _before_ledger(pack: Pack) -> dict[str, Any]:
    """The fields of the predicate whose names stand before `ledger`."""
    return {
        "controls": pack.controls,
        "critical": [],
        "generated_at": timestamp(pack.generated_at),
        "generator": {"name": "visionality", "version": pack.version},
        "installation": pack.installation,
        "keys": [{"fingerprint": fingerprint, "role": role} for fingerprint, role in sorted(pack.keys)],
    }


def _ledger_end(pack: Pack, rows: Literal["embedded", "none"] | RowsFile) -> dict[str, Any]:
    previous = pack.previous and {
        "checkpoint": pack.previous.checkpoint,
        "path": _hexed(pack.previous.path),
    }
    return {"checkpoint": pack.checkpoint, "previous": previous, "rows": rows}


def _after_ledger(pack: Pack, tally: Tally) -> dict[str, Any]:
    """The fields whose names stand behind `ledger`."""
    period = pack.period
    return {
        "limits": list(pack.limits),
        "mappings": pack.mappings,
        "org": pack.org,
        "pack_id": pack.pack_id,
        "period": {
            "from": period.first.isoformat(),
            "to": period.last.isoformat(),
            "starts_at": timestamp(period.start),
            "ends_at": timestamp(period.end),
        },
        "policy_revision": pack.policy_revision,
        "prices": tally.prices(),
        "scope": pack.scope,
        "totals": tally.totals(),
        "v": 1,
    }


def _subjects(pack: Pack, rows: Literal["embedded", "none"] | RowsFile) -> list[dict[str, Any]]:
    """What the statement is about: the newest segment of each project, and the file with the rows."""
    found = []
    for chain in pack.chains:
        newest = chain.headers[-1]
        name = f"segment/{chain.project_id}/{header_of(newest).segment_no}"
        found.append({"digest": {"sha256": hashlib.sha256(newest).hexdigest()}, "name": name})
    if isinstance(rows, RowsFile):
        found.append({"digest": {"sha256": rows.sha256}, "name": f"rows/{rows.name}"})
    return found


def _lists(segments: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """A list of lists of rows."""
    opens = b"[["
    for rows in segments:
        yield opens
        comma = b""
        for row in rows:
            yield comma + row
            comma = b","
        opens = b"],["
    yield b"]]" if opens == b"],[" else b"[]"


def _total(sums: Iterable[Sequence[int]]) -> dict[str, Any]:
    rows, cost, billed = (sum(column) for column in zip(*sums, strict=True))
    return {"rows": rows, "cost": usd(cost), "billed": usd(billed)}


def _by(place: int, sums: Mapping[tuple[str, str], Sequence[int]]) -> dict[str, dict[str, Any]]:
    names = sorted({key[place] for key in sums})
    return {name: _total([one for key, one in sums.items() if key[place] == name]) for name in names}


def _hexed(path: Sequence[bytes]) -> list[str]:
    return [one.hex() for one in path]
