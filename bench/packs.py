"""What evidence takes: hashing rows, the whole check, and the pack of the reference month with all its rows, with a file of them,
and without them.

The month is the demo's, which pages.py has loaded; the sealer has sealed it by then.
"""

import json
import resource
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import psycopg

from bench.pages import ORG
from bench.rows import a_row
from visionality.core.canonical import row_bytes
from visionality.core.merkle import Frontier
from visionality.postgres import read_endpoint
from visionality.runtime.ids import uuid7

HASHED = 5_000_000
MODES = ("embedded", "file", "none")


def measure(run: Callable[..., str], data_dir: str) -> None:
    """Print a line for each way in which rows come along: seconds from the command to the file, CPU of the command, bytes."""
    first, last = _days(data_dir)
    took, size = hashing()
    print("\n### Checking\n")
    print(f"* leaves and root of {HASHED:,} rows of {size:,} bytes each: {took:.1f} s of CPU")
    before, began = _cpu(), time.perf_counter()
    checked = json.loads(run("ledger", "verify", "--full", "--json", "--org", ORG, data_dir=data_dir))
    took, cpu = time.perf_counter() - began, _cpu() - before
    print(
        f"* `vis ledger verify --full`, which reads {checked['rows']:,} rows of every log and hashes them anew: {took:.1f} s, {cpu:.1f} of CPU"
    )
    print("\n### Evidence packs of the reference month\n")
    print("| rows | in the pack | seconds | CPU of the command, s | bytes |\n|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="vis-bench-packs-") as made:
        for mode in MODES:
            path = Path(made) / f"{mode}.json"
            words = ("--all", "--from", first, "--to", last, "--rows", mode, "--org", ORG, "-o", str(path))
            before, began = _cpu(), time.perf_counter()
            told = json.loads(run("evidence", "pack", "--json", *words, data_dir=data_dir))
            took, cpu = time.perf_counter() - began, _cpu() - before
            size = sum(Path(file).stat().st_size for file in told["files"])
            print(f"| {mode} | {told['rows']:,} | {took:.1f} | {cpu:.1f} | {size:,} |")
            for file in told["files"]:
                Path(file).unlink()


def hashing() -> tuple[float, int]:
    """Seconds of CPU for the leaves of rows in their byte form and the tree over them, and the bytes of one."""
    text = row_bytes(msgspec.structs.asdict(a_row(uuid7())))
    began = time.process_time()
    Frontier().extend(sha256(b"\0%07d" % at + text).digest() for at in range(HASHED)).root()
    return time.process_time() - began, len(text)


def _cpu() -> float:
    """Seconds that commands which have ended took."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _days(data_dir: str) -> tuple[str, str]:
    with psycopg.connect(read_endpoint(Path(data_dir)).dsn("vis")) as connection:
        found = connection.execute(
            "select min(created_at)::date, max(created_at)::date from vis.request_logs"
            " where org_id = (select org_id from vis.orgs_v1 where slug = %s)",
            [ORG],
        ).fetchone()
    assert found is not None
    return str(found[0]), str(found[1])
