"""What the evidence pack of the reference month takes: with all its rows, in a file of their own, and without them.

The month is the demo's, which pages.py has loaded; the sealer has sealed it by then.
"""

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from bench.pages import ORG
from visionality.postgres import read_endpoint

MODES = ("embedded", "file", "none")


def measure(run: Callable[..., str], data_dir: str) -> None:
    """Print a line for each way in which rows come along: seconds from the command to the file, CPU of the command, bytes."""
    first, last = _days(data_dir)
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
