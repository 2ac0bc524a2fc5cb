"""The set-up of these tests: without npm they are skipped with one clear sentence, and nothing is installed twice or by half."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from npm import modules
from npm.modules import Missing, installed

NPM = """#!/bin/sh
echo "$@" >> "$CALLED"
{act}
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with an empty cache, and with such programs as the test puts there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLED", str(tmp_path / "called"))
    system = os.environ["PATH"]

    def has(*, node: str | None = "v20.1.0", npm: str | None = "mkdir node_modules") -> Path:
        put(programs / "node", node and f"#!/bin/sh\necho {node}\n")
        put(programs / "npm", npm and NPM.format(act=npm))
        monkeypatch.setattr(modules.shutil, "which", lambda name: found(programs / name))
        monkeypatch.setenv("PATH", f"{programs}:{system}")
        return tmp_path

    return has


def put(program: Path, text: str | None) -> None:
    if text is not None:
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


def found(program: Path) -> str | None:
    return str(program) if program.exists() else None


@pytest.mark.parametrize(
    ("has", "sentence"),
    [
        ({"node": None}, "node is not on this machine"),
        ({"npm": None}, "npm is not on this machine"),
        ({"node": "v18.20.1"}, "node is v18.20.1, and the clients of npm need Node 20 or newer"),
        ({"npm": "echo npm error code EAI_AGAIN >&2; exit 1"}, "the npm registry is out of reach"),
    ],
)
def test_what_a_machine_lacks_is_said_in_one_sentence(machine, has, sentence):
    machine(**has)
    with pytest.raises(Missing, match=sentence) as missing:
        installed()
    assert "\n" not in str(missing.value)


def test_an_installation_that_fails_is_a_failure_and_leaves_nothing_that_looks_whole(machine):
    machine(npm="mkdir node_modules; echo npm error code ETARGET >&2; exit 1")
    with pytest.raises(AssertionError, match="ETARGET"):
        installed()
    machine()
    assert (installed().folder / "node_modules").is_dir()


def test_two_workers_install_once(machine):
    there = machine()
    with ThreadPoolExecutor(4) as workers:
        folders = {each.folder for each in workers.map(lambda _: installed(), range(4))}
    assert len(folders) == 1
    (called,) = (there / "called").read_text().splitlines()
    assert "--no-package-lock" in called
    assert "--ignore-scripts" in called


def test_versions_are_exact_and_no_lock_file_names_a_registry():
    versions = json.loads(modules.PACKAGES.read_text())["dependencies"].values()
    assert all(version.replace(".", "").isdigit() for version in versions)
    assert not list(modules.HERE.rglob("package-lock.json"))
    assert not list(modules.HERE.rglob("node_modules"))
