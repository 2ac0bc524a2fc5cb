"""Promise K4 for TypeScript: the package's own tests pass, and what is built from it signs what the core believes."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.guide import examples
from clients.vectors import CALLER, FILE, vectors
from npm.modules import Missing, bare_environment, installed

SOURCE = FILE.parent / "typescript"
SEALED = FILE.parent / "sealed.json"
NAMED = (SOURCE / "package.json", SOURCE / "package-lock.json")
CLEAN = ("ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
WITHIN = 120


@dataclass(frozen=True)
class Package:
    """A copy of the package in which things may be built."""

    folder: Path

    def run(self, *command: str, **settings: str) -> str:
        """What it prints. Fails the test when it fails."""
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=bare_environment() | settings,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Package:
    try:
        modules = installed(NAMED, CLEAN)
    except Missing as missing:
        pytest.skip(str(missing))
    clients = tmp_path_factory.mktemp("clients")
    shutil.copy(FILE, clients)
    shutil.copy(SEALED, clients)
    folder = clients / SOURCE.name
    built = shutil.ignore_patterns("node_modules", "build", "dist")
    shutil.copytree(SOURCE, folder, ignore=built)
    (folder / "node_modules").symlink_to(modules.folder / "node_modules")
    return Package(folder)


def test_its_own_tests_pass_and_none_is_left_out(package):
    told = package.run("npm", "test")
    written = sum(
        len(re.findall(r"^\s*test\(", path.read_text(), re.MULTILINE))
        for path in SOURCE.glob("test/*.test.ts")
    )
    assert f"# pass {written - 1 + len(vectors())}" in told
    assert "# fail 0" in told
    assert "# skipped 0" in told


def test_the_guides_example_runs_with_what_is_built_and_the_core_believes_it(package, gateway):
    (example,) = examples("typescript")
    minted = {
        "token": "vis2_live_minted",
        "jti": "0197",
        "expires_at": "2026-11-22T08:00:00Z",
        "cap_usd": "0.50",
    }
    failed = (500, {"retry-after-ms": "1"}, {})
    gateway.answers_with((201, {}, minted), failed, (200, {}, {"model": "gpt-4.1"}))
    package.run("npm", "run", "build")
    (package.folder / "example.ts").write_text(example)
    project = {
        "extends": "./tsconfig.json",
        "compilerOptions": {"outDir": "example"},
        "include": ["example.ts"],
    }
    (package.folder / "tsconfig.example.json").write_text(json.dumps(project))
    package.run("npx", "tsc", "-p", "tsconfig.example.json")
    sealed = json.loads(SEALED.read_text())
    own = {"PRIVATE_KEY": json.dumps(sealed["private_jwk"]), "SEALED": json.dumps(sealed["sealed"])}
    told = package.run("node", "example/example.js", GATEWAY=gateway.url, TOKEN="visk_live_x", **own)
    assert told == "gpt-4.1\n"
    gateway.check(requests=3)
    assert [seen.credential for seen in gateway.seen] == [
        "visk_live_x",
        "vis2_live_minted",
        "vis2_live_minted",
    ]
    assert {seen.headers["x-acc-caller"] for seen in gateway.seen} == {CALLER}


def test_what_is_packed_is_the_built_code_and_its_types(package):
    told = json.loads(package.run("npm", "pack", "--dry-run", "--json"))
    files = {entry["path"] for entry in told[0]["files"]}
    assert {"dist/index.js", "dist/index.d.ts", "README.md", "LICENSE", "package.json"} <= files
    assert not [name for name in files if name.startswith(("src/", "test/", "build/"))]


def test_the_lock_names_versions_and_no_registry():
    lock = json.loads(NAMED[1].read_text())
    packages = [entry for name, entry in lock["packages"].items() if name]
    assert all("integrity" in entry and "resolved" not in entry for entry in packages)
    assert all(entry["dev"] for entry in packages)
