"""`make bench-peers`: nginx, a peer, nginx, the next peer, … each on its own, and one table."""

import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench.peers.cache import CACHE
from bench.peers.known import PEERS, REFERENCE
from bench.peers.known.visionality import VISIONALITY
from bench.peers.load import PACED, WAITING, WHOLE, least, play
from bench.peers.peer import CannotRun, Peer, Running
from bench.peers.plot import bars
from bench.peers.report import Beside, Measured, table, targets
from bench.peers.upstream import upstream
from bench.process import used

CHOSEN = [name.strip().lower() for name in os.environ.get("PEERS", "").split(",") if name.strip()]
PLOT = Path("docs/benchmarks/peers.svg")
WARM = 1.0


async def measure(running: Running) -> Measured:
    """Every scenario after a warm-up."""
    for scenario in (WHOLE, PACED):
        await play(running, scenario, WARM)
    whole, paced, waiting = [
        await least(running, scenario, rounds) for scenario, rounds in ((WHOLE, 4), (PACED, 2), (WAITING, 2))
    ]
    resident = sum(used(pid).resident for pid in running.pids)
    return Measured(whole, paced, waiting, resident, len(running.pids), running.started_s, running.commit_ms)


def installed(peers: Sequence[Peer]) -> list[tuple[Peer, str]]:
    """Those that can be had, with their versions; of the others it is said why not."""
    found = []
    for peer in peers:
        try:
            found.append((peer, peer.install(CACHE / peer.name.lower())))
        except CannotRun as why:
            print(f"* {peer.name} cannot be installed: {why}", flush=True)
    return found


def run(peer: Peer, scratch: Path, port: int) -> Measured:
    """Raises CannotRun."""
    scratch.mkdir()
    with peer.start(CACHE / peer.name.lower(), scratch, port) as running:
        measured = uvloop.run(measure(running))
    if not measured.whole.took:
        raise CannotRun(f"no good answer ({measured.failed} calls failed)")
    return measured


def side_by_side(peers: Sequence[tuple[Peer, str]]) -> tuple[list[Measured], list[Beside]]:
    """The rounds of nginx, and every peer between two of them."""
    beside: list[Beside] = []
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vis-peers-")))
        made.chmod(0o755)
        port = stack.enter_context(upstream())
        (made / "reference").mkdir()
        home = CACHE / REFERENCE.name.lower()
        nginx = stack.enter_context(REFERENCE.start(home, made / "reference", port))
        rounds = [uvloop.run(measure(nginx))]
        for peer, version in peers:
            try:
                measured = run(peer, made / peer.name.lower(), port)
            except CannotRun as why:
                print(f"* {peer.name} {version} did not run: {why}", flush=True)
                continue
            rounds.append(uvloop.run(measure(nginx)))
            beside.append(Beside(peer, version, measured, rounds[-2], rounds[-1]))
    return rounds, beside


def main() -> None:
    chosen = [peer for peer in PEERS if not CHOSEN or peer.name.lower() in CHOSEN]
    reference = installed([REFERENCE])
    if not reference:
        raise SystemExit("without nginx there is nothing to compare with")
    cpu = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown"
    )
    print(
        f"{os.cpu_count()} cores ({cpu.split(':')[1].strip()}), Linux {platform.release()}, Python {platform.python_version()}, "
        f"nginx {reference[0][1]}; caller, upstream, peer and database share them",
        flush=True,
    )
    rounds, beside = side_by_side(installed(chosen))
    table(rounds, beside)
    for one in beside:
        if one.peer is VISIONALITY:
            targets(one)
    if not CHOSEN and beside:
        PLOT.parent.mkdir(parents=True, exist_ok=True)
        PLOT.write_text(bars([(one.peer.name, one.whole_ratio, one.paced_ratio) for one in beside]))


if __name__ == "__main__":
    main()
