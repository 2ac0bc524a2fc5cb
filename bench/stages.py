"""`make bench-stages`: where the CPU of one call goes, stage by stage, in microseconds.

The product runs as for `make bench-peers`, with everything on and one gateway process, under 16 callers. Its CPU a call is measured
first, undisturbed; then py-spy, which is installed into the peers' cache, samples that process, and each sample counts for the innermost
stage that its stack is in. py-spy has to be allowed to look at another process: be root, or set kernel.yama.ptrace_scope to 0.
"""

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import uvloop

from bench.peers.cache import CACHE, by_pip
from bench.peers.known import visionality
from bench.peers.load import WHOLE, least, play
from bench.peers.peer import Running
from bench.peers.upstream import upstream

SECONDS = int(os.environ.get("STAGES_SECONDS", "15"))
RATE = 400
"""Samples a second."""
ROUNDS = 6
WARM = 2.0
REST = "the event loop, and the kernel's part of it"

STAGES = (
    (
        "the client's bytes",
        ("Connection.data_received", "Exchange.receive", "body (visionality/gateway/client.py"),
    ),
    ("whose key it is, and may it be used", ("Call._known", "Call._checked", "Call._proven")),
    (
        "what it is for: evidence, project, task class",
        ("Call._ascribed", "draft (visionality/gateway/attribute.py"),
    ),
    ("what it asks", ("ChatCompletions.document", "ChatCompletions.ask", "JsonOverSse.document")),
    ("its worst case, and the budgets that it draws on", ("hold (visionality/gateway/admit.py",)),
    ("the request to the provider", ("Forwarder._send", "Upstream.send")),
    (
        "the provider's answer, and its usage",
        ("_Link.data_received", "Forwarder._whole", "Forwarder._stream"),
    ),
    ("its price, into the row", ("Call._completed",)),
    ("the ledger: batches of holds, rows and events", ("LedgerWriter._run", "LedgerWriter.settle_within")),
    ("the answer to the client", ("Call._answered",)),
    ("the call's own course", ("Call.run", "GatewayApp.", "Exchange.run")),
)
"""Each with how the frames begin that it is entered by."""


def main() -> None:
    by_pip(CACHE / "py-spy", "py-spy")
    with tempfile.TemporaryDirectory(prefix="vis-stages-") as made, upstream() as port:
        scratch = Path(made)
        scratch.chmod(0o755)
        (scratch / "product").mkdir()
        with visionality.start(scratch, scratch / "product", port) as running:
            uvloop.run(play(running, WHOLE, WARM))
            seen = uvloop.run(least(running, WHOLE, ROUNDS))
            stacks = sampled(running, scratch / "stacks")
    told(Counter(stage_of(frames) for frames in stacks), seen.cpu_us)


def sampled(running: Running, into: Path) -> list[list[str]]:
    """The stacks of the gateway's process under load, each from its outermost frame to its innermost."""
    words = [
        "record",
        "-p",
        str(running.pids[0]),
        "-d",
        str(SECONDS),
        "-r",
        str(RATE),
        "-F",
        "-f",
        "raw",
        "-o",
        str(into),
    ]
    with subprocess.Popen(
        [str(CACHE / "py-spy/bin/py-spy"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as spy:
        uvloop.run(play(running, WHOLE, SECONDS + 1.0))
        _, said = spy.communicate()
    if spy.returncode:
        raise SystemExit(f"py-spy ended with {spy.returncode}: {said.decode(errors='replace')[-400:]}")
    found = []
    for line in into.read_text().splitlines():
        stack, _, times = line.rpartition(" ")
        found += [stack.split(";")] * int(times)
    return [frames for frames in found if any(frame.startswith("Runner.run") for frame in frames)]


def stage_of(frames: Iterable[str]) -> str:
    for frame in reversed(list(frames)):
        for stage, begins in STAGES:
            if frame.startswith(begins):
                return stage
    return REST


def told(samples: Counter[str], cpu_us: float) -> None:
    every = sum(samples.values())
    print(f"\n{cpu_us:.0f} µs of CPU a call in the gateway, {every:,} samples\n")
    print("| stage | µs a call | share |\n|---|---:|---:|")
    for stage in (*(name for name, _ in STAGES), REST):
        share = samples[stage] / every
        print(f"| {stage} | {cpu_us * share:.0f} | {share:.0%} |")


if __name__ == "__main__":
    main()
