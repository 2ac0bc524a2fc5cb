"""A control of SOC 2 as the product's own records answer it: what was judged, what failed, what does not operate.

A control is `satisfied` when all its mechanisms operate and nothing that was judged failed; `not_satisfied` as soon as
something failed; else `not_operating`. What nothing could be judged by counts as neither passed nor failed, so `passed` and
the exceptions may be fewer than the population and are never more. The fields are those of docs/audit/formats.md, section 5.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from visionality.core.canonical import row_bytes

Status = Literal["satisfied", "not_satisfied", "not_operating"]


class Failed(msgspec.Struct, frozen=True, order=True):
    """One member of the population that failed, and why. The subject is a kind and an id: no name of anybody leaves with it."""

    subject: str
    detail: str


class Mechanism(msgspec.Struct, frozen=True):
    """What carries a control: whether it works here, and why it does not. The reason is empty when it does."""

    name: str
    operating: bool
    reason: str = ""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One control over a whole population."""

    control: str
    title: str
    population: int
    passed: int
    exceptions: list[Failed]
    mechanisms: list[Mechanism]
    query: str
    """The query's name and the SHA-256 of its text."""
    rows_sha256: str
    """Of the rows that were judged (`rows_digest`), so that who asks the same again can tell that it is the same."""
    status: Status

    @property
    def slug(self) -> str:
        return slug_of(self.control)

    @property
    def not_judged(self) -> int:
        return self.population - self.passed - len(self.exceptions)


class Judged(msgspec.Struct, frozen=True):
    """What a judge says of rows: how many there were to judge, how many are well, which are not, and what carries it."""

    population: int
    passed: int
    exceptions: list[Failed]
    mechanisms: list[Mechanism]


def control(name: str, title: str, judged: Judged, query: str, rows: Iterable[Mapping[str, Any]]) -> Control:
    """The control as it is reported, its exceptions in one order."""
    assert judged.passed + len(judged.exceptions) <= judged.population, "more was judged than there is"
    assert all(bool(one.reason) != one.operating for one in judged.mechanisms), (
        "what does not operate says why"
    )
    return Control(
        control=name,
        title=title,
        population=judged.population,
        passed=judged.passed,
        exceptions=sorted(judged.exceptions),
        mechanisms=judged.mechanisms,
        query=query,
        rows_sha256=rows_digest(rows),
        status=status(judged.exceptions, judged.mechanisms),
    )


def slug_of(name: str) -> str:
    """A control's name in an address: `CC6.2-6.3`."""
    return name.replace("/", "-")


def status(exceptions: Sequence[Failed], mechanisms: Sequence[Mechanism]) -> Status:
    if exceptions:
        return "not_satisfied"
    return "satisfied" if mechanisms and all(one.operating for one in mechanisms) else "not_operating"


def rows_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the rows in the form of docs/audit/formats.md, section 1, a line feed after each, in the query's order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row_bytes(row) + b"\n")
    return digest.hexdigest()
