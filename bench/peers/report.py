"""One table of all peers, and the targets of this product with what was seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.peers.load import Seen
from bench.peers.peer import Peer

COLUMNS = (
    "peer",
    "JSON CPU µs/call",
    "× nginx",
    "nginx before, after",
    "its database CPU µs/call",
    "calls/s",
    "p50, p99 ms",
    "stream CPU µs/call",
    "× nginx",
    "first event later by ms",
    "50 ms upstream: p50, p99 later by ms",
    "memory MB",
    "start s",
    "failed",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of a peer; `resident` are bytes of all its processes but its database's."""

    whole: Seen
    paced: Seen
    waiting: Seen
    resident: int
    processes: int
    started_s: float
    commit_ms: tuple[float, float]

    @property
    def failed(self) -> int:
        return self.whole.failed + self.paced.failed + self.waiting.failed


@dataclass(frozen=True, slots=True)
class Beside:
    """A peer's round and the rounds of nginx right before and after it, of which the lesser one is its measure.

    A ratio is None where no call of the peer was answered well.
    """

    peer: Peer
    version: str
    measured: Measured
    before: Measured
    after: Measured

    @property
    def whole_ratio(self) -> float:
        return self.measured.whole.cpu_us / min(one.whole.cpu_us for one in self._nginx)

    @property
    def paced_ratio(self) -> float | None:
        mine = self.measured.paced
        return mine.cpu_us / min(one.paced.cpu_us for one in self._nginx) if mine.took else None

    @property
    def first_later_ms(self) -> float | None:
        mine = self.measured.paced
        return mine.first_ms - min(one.paced.first_ms for one in self._nginx) if mine.took else None

    @property
    def later_p50_ms(self) -> float | None:
        """Over the upstream of 50 ms."""
        mine = self.measured.waiting
        return mine.p50_ms - min(one.waiting.p50_ms for one in self._nginx) if mine.took else None

    @property
    def later_p99_ms(self) -> float | None:
        mine = self.measured.waiting
        return mine.p99_ms - min(one.waiting.p99_ms for one in self._nginx) if mine.took else None

    @property
    def _nginx(self) -> tuple[Measured, Measured]:
        return self.before, self.after


def table(rounds: Sequence[Measured], beside: Sequence[Beside]) -> None:
    print(f"\n| {' | '.join(COLUMNS)} |\n|---{'|---:' * (len(COLUMNS) - 1)}|")
    print(_reference(rounds))
    for one in beside:
        print(_line(one))
    print()
    for one in beside:
        print(f"* {one.peer.name} {one.version}: {one.peer.does}")


def _reference(rounds: Sequence[Measured]) -> str:
    last = rounds[-1]
    cells = [
        "nginx (the median of its rounds)",
        f"{median(one.whole.cpu_us for one in rounds):.1f}",
        "1",
        f"{min(one.whole.cpu_us for one in rounds):.1f} to {max(one.whole.cpu_us for one in rounds):.1f}",
        "–",
        f"{median(one.whole.per_second for one in rounds):,.0f}",
        f"{median(one.whole.p50_ms for one in rounds):.2f}, {median(one.whole.p99_ms for one in rounds):.2f}",
        f"{median(one.paced.cpu_us for one in rounds):.0f}",
        "1",
        "0",
        "0, 0",
        f"{last.resident / 1e6:.0f}",
        f"{last.started_s:.2f}",
        str(sum(one.failed for one in rounds)),
    ]
    return f"| {' | '.join(cells)} |"


def _line(one: Beside) -> str:
    m = one.measured
    cells = [
        one.peer.name,
        f"{m.whole.cpu_us:.0f}",
        f"{one.whole_ratio:.1f}",
        f"{one.before.whole.cpu_us:.1f}, {one.after.whole.cpu_us:.1f}",
        f"{m.whole.database_us:.0f}" if m.whole.database_us else "–",
        f"{m.whole.per_second:,.0f}",
        f"{m.whole.p50_ms:.2f}, {m.whole.p99_ms:.2f}",
        f"{m.paced.cpu_us:.0f}" if m.paced.took else "–",
        _shown(one.paced_ratio, 1),
        _shown(one.first_later_ms, 2),
        f"{_shown(one.later_p50_ms, 2)}, {_shown(one.later_p99_ms, 2)}",
        f"{m.resident / 1e6:.0f}",
        f"{m.started_s:.2f}",
        str(m.failed),
    ]
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def targets(one: Beside) -> None:
    """What this product promises, each with what was seen and whether it held."""
    m = one.measured
    commit_p50, commit_p99 = m.commit_ms
    memory = m.resident / m.processes / 1e6
    print("\n| target | most | seen | |\n|---|---:|---:|---|")
    for name, most, seen, unit in (
        ("JSON, 16 callers: CPU per call", 5.0, one.whole_ratio, "× nginx"),
        ("the same, stretch", 3.3, one.whole_ratio, "× nginx"),
        ("streams at 10 ms an event: CPU per stream", 1.5, one.paced_ratio, "× nginx"),
        (
            "50 ms upstream, 64 callers: p50 added, 0.5 ms and a commit",
            0.5 + commit_p50,
            one.later_p50_ms,
            "ms",
        ),
        ("the same: p99 added, 3 ms and a commit", 3.0 + commit_p99, one.later_p99_ms, "ms"),
        ("first event later than nginx's, p50", 0.5, one.first_later_ms, "ms"),
        ("memory of a worker", 80.0, memory, "MB"),
        ("start of a worker", 1.0, m.started_s, "s"),
        ("failed calls", 0.0, float(m.failed), "calls"),
    ):
        held = seen is not None and seen <= most
        print(
            f"| {name} | {most:.4g} {unit} | {_shown(seen, 2)} {unit} | {'held' if held else '**not held**'} |"
        )
    print(f"\nOne durable commit alone: p50 {commit_p50:.2f} ms, p99 {commit_p99:.2f} ms.")
