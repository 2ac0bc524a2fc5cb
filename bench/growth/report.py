"""The tables of docs/benchmarks.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.growth.product import Rest
from bench.growth.turns import Compared, Figures

MOST = 0.05
"""How much a cost may grow: the target."""
_HEAD = "gateway CPU µs/call | × | PostgreSQL CPU µs/call | × | p50 ms | × | p99 ms | × | calls/s | failed"


@dataclass(frozen=True, slots=True)
class Point:
    """One size of a subject beside the smallest. `count` is how many there were when it was measured."""

    count: int
    compared: Compared
    rest: Rest
    longest_ms: float | None = None
    in_force_s: float | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What grows; `count` and `rest` are of the smallest."""

    title: str
    unit: str
    count: int
    rest: Rest
    points: Sequence[Point]
    longest_ms: float | None = None
    in_force_s: float | None = None

    @property
    def smallest(self) -> Figures:
        """The least of all its rounds."""
        those = [one.compared.smallest for one in self.points]
        return Figures(
            min(one.gateway_us for one in those),
            min(one.postgres_us for one in those),
            min(one.p50_ms for one in those),
            min(one.p99_ms for one in those),
            max(one.per_second for one in those),
            sum(one.failed for one in those),
        )


def table(subject: Subject) -> None:
    print(f"\n### {subject.title}\n")
    print(f"| {subject.unit} | {_HEAD} |\n|---:{'|---:' * 10}|")
    print(_line(subject.count, subject.smallest, ("1", "1", "1", "1")))
    for one in subject.points:
        c = one.compared
        print(_line(one.count, c.figures, [f"{x:.2f}" for x in (c.gateway, c.postgres, c.p50, c.p99)]))
    _rest(subject)
    _grown(subject)


def _line(count: int, f: Figures, ratios: Sequence[str]) -> str:
    values = (f"{f.gateway_us:.0f}", f"{f.postgres_us:.0f}", f"{f.p50_ms:.2f}", f"{f.p99_ms:.2f}")
    pairs = " | ".join(f"{value} | {ratio}" for value, ratio in zip(values, ratios, strict=True))
    return f"| {count:,} | {pairs} | {f.per_second:,.0f} | {f.failed} |"


def _rest(subject: Subject) -> None:
    """What processes take while nobody calls, and what an act of the control plane costs."""
    is_read = subject.longest_ms is not None
    more = (
        " longest call while the policy is read again, ms | an act is in force after s |" if is_read else ""
    )
    print(
        f"\n| {subject.unit} | at rest, % of a core: gateway | jobs | web | PostgreSQL | memory of a gateway, MB |{more}"
    )
    print(f"|---:|---:|---:|---:|---:|---:|{'---:|---:|' if is_read else ''}")
    first = (subject.count, subject.rest, subject.longest_ms, subject.in_force_s)
    for count, r, longest, in_force in [
        first,
        *((one.count, one.rest, one.longest_ms, one.in_force_s) for one in subject.points),
    ]:
        read = f" {longest:.0f} | {in_force:.1f} |" if is_read else ""
        print(
            f"| {count:,} | {r.gateway:.1f} | {r.jobs:.1f} | {r.web:.1f} | {r.postgres:.1f} | {r.resident / 1e6:.0f} |{read}"
        )


def _grown(subject: Subject) -> None:
    """What is over the target at the largest size."""
    last = subject.points[-1]
    ratios = {
        "gateway CPU": last.compared.gateway,
        "PostgreSQL CPU": last.compared.postgres,
        "p50": last.compared.p50,
        "p99": last.compared.p99,
    }
    over = [f"{name} × {ratio:.2f}" for name, ratio in ratios.items() if ratio > 1 + MOST]
    told = ", ".join(over) if over else "nothing"
    print(f"\nMore than {MOST:.0%} over the smallest at {last.count:,} {subject.unit}: {told}.")


def pages(sizes: Sequence[int], smallest: Mapping[str, float], found: Sequence[Mapping[str, float]]) -> None:
    """Median milliseconds of every page, by the rows of the ledger."""
    print("\n### Pages as the ledger grows: median ms\n")
    print(f"| page | {' | '.join(f'{size:,} rows' for size in sizes)} | × of {sizes[1]:,} |")
    print(f"|---{'|---:' * (len(sizes) + 1)}|")
    for path in smallest:
        took = [smallest[path], *(one[path] for one in found)]
        print(
            f"| `{path}` | {' | '.join(f'{ms:.1f}' for ms in took)} | {took[-1] / took[1]:.2f} |".replace(
                "inf", "none"
            )
        )
    middle = [median(one.values()) for one in (smallest, *found)]
    print(
        f"| the middle of all | {' | '.join(f'{ms:.1f}' for ms in middle)} | {middle[-1] / middle[1]:.2f} |"
    )
