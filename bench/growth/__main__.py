"""`make bench-growth`: what a call costs as the ledger, the keys, the budgets and the gateways grow, and what pages take.

A small product stays up, and beside it one that grows; rounds of calls go to both in turns, so what else the machine does falls on
both, and what counts is the ratio within a turn. The small product has the demo's 1,500 rows and its dozen keys, and seven budgets:
a size below that is that. Environment:

    GROWTH=rows,keys,budgets,gateways     what is measured
    GROWTH_ROWS=0,500000,1000000,…        rows of the ledger; the first size is the small product's
    GROWTH_KEYS=10,1000,10000,100000      keys
    GROWTH_BUDGETS=1,100,1000,10000       budgets, the four on which the calls draw among them
    GROWTH_GATEWAYS=1,2,4,8               gateway processes
    GROWTH_ROUNDS=10                      rounds of each of two products
    GROWTH_SECONDS=1.5                    how long a round is

Five million rows take about 20 GB in the directory for temporary files (TMPDIR). With all subjects and the usual sizes the plot of
docs/benchmarks.md is written too.
"""

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.growth import policy, report, rows, seats, turns
from bench.growth.plot import Panel, lines
from bench.growth.product import Product, copied, prepared, running
from bench.growth.report import Point, Subject
from bench.growth.sizes import number, sizes, subjects
from bench.peers.peer import CannotRun
from visionality.demo.story import FEWEST_ROWS, ROWS

USUAL: Mapping[str, tuple[int, ...]] = {
    "rows": (0, 500_000, 1_000_000, 2_000_000, 5_000_000),
    "keys": (10, 1_000, 10_000, 100_000),
    "budgets": (1, 100, 1_000, 10_000),
    "gateways": (1, 2, 4, 8),
}
PLOT = Path("docs/benchmarks/growth.svg")
BYTES_A_ROW = 4_000
"""With its events, indexes and the log of their writing."""
REST = 5.0
READ_WITHIN = 6.0
"""Seconds of calls beside which the policy is read again."""
BEGAN = time.monotonic()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long."""

    subjects: Sequence[str]
    sizes: Mapping[str, Sequence[int]]
    rounds: int
    seconds: float

    def compared(self, smallest: Product, grown: Product) -> turns.Compared:
        small, large = turns.in_turns([smallest.running, grown.running], self.rounds, self.seconds)
        found = turns.compared(large, small)
        progress(
            f"gateway × {found.gateway:.3f}, PostgreSQL × {found.postgres:.3f}, p50 × {found.p50:.3f}: {found.figures}"
        )
        return found


def progress(line: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.0f} s  {line}", file=sys.stderr, flush=True)


def planned() -> Plan:
    """By the environment. Raises CannotRun."""
    wanted = {name: sizes(f"GROWTH_{name.upper()}", usual) for name, usual in USUAL.items()}
    return Plan(
        subjects(tuple(USUAL)), wanted, int(number("GROWTH_ROUNDS", 10)), number("GROWTH_SECONDS", 1.5)
    )


def measure_rows(plan: Plan, small: Product, scratch: Path) -> Subject:
    """The ledger that grows begins with the whole month of the demo; pages are looked at on the way."""
    counted, *more = plan.sizes["rows"]
    progress("the month whose rows are copied is loaded")
    data_dir = scratch / "rows/data"
    key = prepared(data_dir, max(FEWEST_ROWS, min(more[0], ROWS)))
    points: list[Point] = []
    looked: list[dict[str, float]] = []
    at_first: list[dict[str, float]] = []
    with running(data_dir, key=key) as grown:
        turns.in_turns([small.running, grown.running], 1, plan.seconds)
        rest = small.at_rest(REST)
        for size in more:
            count = rows.fill(grown, size, progress)
            progress(f"{count:,} rows: calls")
            points.append(Point(count, plan.compared(small, grown), grown.at_rest(REST)))
            progress(f"{count:,} rows: pages")
            first, now = seats.in_turns([small, grown])
            at_first.append(first)
            looked.append(now)
            progress(
                f"the slowest of them: {max(now, key=lambda path: now[path])}, {max(now.values()):,.0f} ms"
            )
    least = {path: min(one[path] for one in at_first) for path in at_first[0]}
    report.pages([counted, *(one.count for one in points)], least, looked)
    return Subject("Rows of the ledger", "rows", counted, rest, points)


def measure_policy(
    plan: Plan, name: str, small: Product, grown: Product, grow: Callable[[Product, int], int]
) -> Subject:
    """Keys or budgets, which every gateway keeps in memory and reads again after an act."""
    count, more = grow(small, 0), plan.sizes[name][1:]
    rest, longest, in_force = small.at_rest(REST), _longest_ms(small), policy.in_force_after(small)
    points = []
    for size in more:
        there = grow(grown, size)
        in_force_s = policy.in_force_after(grown)
        progress(f"{there:,} {name}: calls")
        compared = plan.compared(small, grown)
        points.append(Point(there, compared, grown.at_rest(REST), _longest_ms(grown), in_force_s))
    return Subject(name.capitalize(), name, count, rest, points, longest, in_force)


def _longest_ms(product: Product) -> float:
    return turns.longest_ms(product.running, READ_WITHIN, lambda: policy.move(product))


def measure_gateways(plan: Plan, small: Product, products: Sequence[Product], callers: int) -> Subject:
    """All of them are up, and called in turns."""
    first, *more = plan.sizes["gateways"]
    progress(f"{', '.join(map(str, more))} gateways: calls of {callers}")
    running_ = [one.running for one in (small, *products)]
    seen = turns.in_turns(running_, plan.rounds, plan.seconds, callers=callers)
    points = [
        Point(count, turns.compared(one, seen[0]), product.at_rest(REST))
        for count, one, product in zip(more, seen[1:], products, strict=True)
    ]
    title = f"Gateway processes on {os.cpu_count()} cores, {callers} callers"
    return Subject(title, "gateways", first, small.at_rest(REST), points)


def measured(plan: Plan, scratch: Path) -> list[Subject]:
    found: list[Subject] = []
    progress("the small product is prepared")
    home = scratch / "small/data"
    key = prepared(home, FEWEST_ROWS)

    def copy(name: str) -> Path:
        return copied(home, scratch / name / "data")

    copies = {name: copy(name) for name in ("keys", "budgets") if name in plan.subjects}
    more_gateways = plan.sizes["gateways"][1:] if "gateways" in plan.subjects else ()
    of_gateways = {count: copy(f"gateways-{count}") for count in more_gateways}
    with running(home, plan.sizes["gateways"][0], key) as small:
        if "rows" in plan.subjects:
            found.append(measure_rows(plan, small, scratch))
            report.table(found[-1])
            shutil.rmtree(scratch / "rows")
        for name, grow in (("keys", policy.more_keys), ("budgets", policy.more_budgets)):
            if name in plan.subjects:
                with running(copies[name], key=key) as grown:
                    found.append(measure_policy(plan, name, small, grown, grow))
                report.table(found[-1])
        if of_gateways:
            with ExitStack() as stack:
                many = [stack.enter_context(running(one, count, key)) for count, one in of_gateways.items()]
                for callers in (16, 64):
                    found.append(measure_gateways(plan, small, many, callers))
                    report.table(found[-1])
    return found


def plotted(found: Sequence[Subject]) -> str:
    return lines([_panel(one) for one in found])


def _panel(subject: Subject) -> Panel:
    ratios = [
        (one.compared.gateway, one.compared.postgres, one.compared.p50, one.compared.p99)
        for one in subject.points
    ]
    labels = [_short(one) for one in (subject.count, *(one.count for one in subject.points))]
    return Panel(subject.title, labels, [(1.0, *line) for line in zip(*ratios, strict=True)])


def _short(count: int) -> str:
    """2000000 as 2M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + letter
    return str(count)


def has_room(plan: Plan, place: Path) -> None:
    """Raises CannotRun."""
    needed = plan.sizes["rows"][-1] * BYTES_A_ROW if "rows" in plan.subjects else 0
    free = shutil.disk_usage(place).free
    if free < needed:
        raise CannotRun(
            f"{plan.sizes['rows'][-1]:,} rows need about {needed / 1e9:.0f} GB in {place.parent}, where {free / 1e9:.0f} are free: "
            "say TMPDIR=… for another place, or GROWTH_ROWS=0,500000 for fewer"
        )


def main() -> None:
    try:
        plan = planned()
        with tempfile.TemporaryDirectory(prefix="vis-growth-") as made:
            scratch = Path(made)
            scratch.chmod(0o755)
            has_room(plan, scratch)
            print(_machine(), flush=True)
            found = measured(plan, scratch)
    except CannotRun as why:
        raise SystemExit(f"bench-growth: {why}") from None
    if plan.subjects == tuple(USUAL) and plan.sizes == USUAL:
        PLOT.parent.mkdir(parents=True, exist_ok=True)
        PLOT.write_text(plotted(found))


def _machine() -> str:
    cpu = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown"
    )
    return (
        f"{os.cpu_count()} cores ({cpu.split(':')[1].strip()}), Linux {platform.release()}, Python {platform.python_version()}; "
        "caller, sandbox, gateway, jobs, web and PostgreSQL of both products share them"
    )


if __name__ == "__main__":
    main()
