"""`vis map`: a file is checked whole, shown as a diff, applied in one act and kept (A2)."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from product import Product, running, set_up

GOOD = r"""version: 1
projects:
  HPC: {customer: houston-power, aliases: [HPCX]}
  CAISO-Q3: {aliases: [CAISOQ3]}
repos:
  git@bitbucket.org:ArcTrade/hpc-billing.git: {project: HPC, default_epic: HPC-100, branch_pattern: '^(?:feature/)?(HPC-\d+)'}
  socedison-ingest: SOCE
"""
ADDED = [
    "+ project CAISO-Q3",
    "+ project SOCE",
    "+ alias CAISOQ3: project CAISO-Q3",
    "+ alias HPCX: project HPC",
    r"+ repo bitbucket.org/arctrade/hpc-billing: project HPC, default epic HPC-100, branch pattern ^(?:feature/)?(HPC-\d+)",
    "+ repo socedison-ingest: project SOCE",
]

SECOND = """version: 1
projects: {HPC: {}}
repos:
  https://bitbucket.org/arctrade/HPC-billing: {project: SOCE, customer: houston-power}
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """One of its own: the map is of the whole organisation. Only the last test applies anything."""
    with running() as product:
        set_up(product)
        yield product


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(GOOD)
    return path


def apply(product: Product, file: Path, *words: str, stdin: str = "", code: int = 0) -> str:
    done = product.try_run("map", "apply", str(file), *words, stdin=stdin)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def repos(product: Product) -> dict[str, tuple]:
    rows = product.query("select * from vis.repos_v1")
    return {
        row["repo"]: tuple(
            row[name] for name in ("name", "project_id", "customer_id", "default_epic", "branch_pattern")
        )
        for row in rows
    }


def aliases(product: Product) -> dict[str, str]:
    return {row["alias"]: row["project_id"] for row in product.query("select * from vis.project_aliases_v1")}


def events(product: Product) -> list[dict]:
    return product.query("select actor, detail from vis.admin_events where kind = 'map_applied' order by seq")


def test_a_file_with_mistakes_is_refused_whole_with_every_line(product, file):
    before = repos(product), events(product)
    file.write_text(GOOD.replace("houston-power", "houston").replace("socedison-ingest", "no repo"))
    told = apply(product, file, "--yes", code=1)
    assert "the mapping file has 2 mistakes, and nothing of it was applied" in told
    assert "line 3: there is no customer houston" in told
    assert "line 7: 'no repo' is no repo" in told
    assert (repos(product), events(product)) == before


def test_projects_that_are_not_there_are_created_only_with_yes(product, file):
    before = repos(product), events(product)
    file.write_text("version: 1\nrepos: {x: NEW1}\nprojects: {NEW2: {}}")
    told = product.try_run("map", "apply", str(file), stdin="y\n")
    assert told.returncode == 1
    assert {"+ project NEW1", "+ project NEW2"} <= set(told.stdout.splitlines())
    assert "projects are not there: NEW1, NEW2" in told.stderr
    assert (repos(product), events(product)) == before


def test_a_map_is_shown_applied_read_by_gateways_kept_and_replaced(product, file):
    shown_first, sha256 = apply(product, file, "--yes"), hashlib.sha256(GOOD.encode()).hexdigest()
    assert shown_first.splitlines() == [*ADDED, f"version 1 of the map is in force; sha256 {sha256}"]
    assert repos(product) == {
        "bitbucket.org/arctrade/hpc-billing": (
            "hpc-billing", "HPC", "houston-power", "HPC-100", r"^(?:feature/)?(HPC-\d+)",
        ),
        "socedison-ingest": ("socedison-ingest", "SOCE", None, None, None),
    }  # fmt: skip
    assert aliases(product) == {"CAISOQ3": "CAISO-Q3", "HPCX": "HPC"}
    assert product.run("map", "show") == GOOD
    (event,) = events(product)
    assert event["actor"].startswith("cli:")
    assert event["detail"] == {"version": "1", "sha256": sha256, "added": "6"}

    revision = product.query("select revision from vis.org_revisions")
    assert apply(product, file) == "this file is in force already: nothing changes\n"

    file.write_text(SECOND)
    assert "nothing was applied" in apply(product, file, stdin="n\n", code=1)
    assert "say --yes where nobody can be asked" in apply(product, file, code=1)
    assert product.query("select revision from vis.org_revisions") == revision

    assert apply(product, file, stdin="y\n").splitlines()[:-1] == [
        "- alias CAISOQ3: project CAISO-Q3",
        "- alias HPCX: project HPC",
        r"~ repo bitbucket.org/arctrade/hpc-billing: project HPC → SOCE, customer none → houston-power, default epic HPC-100 → none, branch pattern ^(?:feature/)?(HPC-\d+) → none",
        "- repo socedison-ingest: project SOCE",
    ]
    assert repos(product) == {
        "bitbucket.org/arctrade/hpc-billing": ("hpc-billing", "SOCE", "houston-power", None, None)
    }
    assert aliases(product) == {}
    projects = product.query("select project_id, customer_id from vis.projects_v1 order by 1")
    assert [tuple(one.values()) for one in projects] == [
        ("CAISO-Q3", None),
        ("HPC", "houston-power"),
        ("SOCE", None),
    ]
    assert events(product)[-1]["detail"].items() >= {"version": "2", "changed": "1", "removed": "3"}.items()

    found = [json.loads(line) for line in product.run("map", "history", "--json").splitlines()]
    assert [one["version"] for one in found] == [2, 1]
    assert found[1]["sha256"] == sha256
    assert all(one["applied_by"].startswith("cli:") and one["applied_at"] for one in found)
    assert product.run("map", "show", "--version", "1") == GOOD
    assert "no version 9 was applied" in product.try_run("map", "show", "--version", "9").stderr
