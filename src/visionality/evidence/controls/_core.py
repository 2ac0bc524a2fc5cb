"""What the six collectors share: what they are given, and how rows become a judgement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from visionality.core.control import Failed, Judged, Mechanism, slug_of
from visionality.core.period import Period

Record = dict[str, Any]
Facts = Mapping[str, Any]
"""What a row says of its member of the population: texts, whole numbers, truths and nulls by name."""

WELL = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a judge knows beside the rows: the period, when it is asked, and up to when it looks: now, or the period's end."""

    period: Period
    now: datetime

    @property
    def at(self) -> datetime:
        return min(self.now, self.period.end)


@dataclass(frozen=True, slots=True)
class Collector:
    control: str
    title: str
    sql: str
    """The file, beside this one, whose statement `rows` gives the whole population: `kind`, `id` and `facts`."""
    judge: Callable[[Sequence[Record], Asked], Judged]

    @property
    def slug(self) -> str:
        return slug_of(self.control)


Verdict = Callable[[Facts], str | None]
"""WELL, or why a member of the population failed; None where nothing can judge it."""


def judged(
    rows: Sequence[Record], verdicts: Mapping[str, Verdict], mechanisms: Sequence[Mechanism]
) -> Judged:
    """Each row by the verdict for its kind. Rows of other kinds tell of mechanisms and are nobody's population."""
    population = passed = 0
    exceptions = []
    for row in rows:
        if (verdict := verdicts.get(row["kind"])) is None:
            continue
        population += 1
        said = verdict(row["facts"])
        if said == WELL:
            passed += 1
        elif said is not None:
            exceptions.append(Failed(f"{row['kind']} {row['id']}", said))
    return Judged(population, passed, exceptions, list(mechanisms))


def facts_of(rows: Sequence[Record], kind: str) -> list[Facts]:
    return [row["facts"] for row in rows if row["kind"] == kind]


def switched_on(rows: Sequence[Record], name: str) -> bool:
    """Whether the row of what is switched on says so."""
    return any(facts[name] for facts in facts_of(rows, "switched on"))


def mechanism(name: str, why_not: str) -> Mechanism:
    """One that operates, unless a reason is given why it does not."""
    return Mechanism(name, not why_not, why_not)


def together(*said: str) -> str:
    """The reasons that there are, as one."""
    return "; ".join(filter(None, said))
