"""The packages of a package.json, installed once a machine, and small programs that run with them.

They lie in the user's cache, under a hash of what names them and of the machine's Node, so that every checkout and every
worker shares one installation and a changed version is a fresh one. No lock file is kept here: it would name a registry.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

HERE = Path(__file__).parent
PACKAGES = HERE / "package.json"
OLDEST_NODE = 20
INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
INSTALL_WITHIN = 300
CALL_WITHIN = 60
AWAY = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH")
"""npm's codes for a registry that it cannot reach (npm docs, "Common errors"; Node.js, `errno`)."""


class Missing(Exception):
    """This machine cannot have the packages. The text is a sentence for the person who runs the tests."""


@dataclass(frozen=True)
class Modules:
    """An installation: a folder with `node_modules` in it."""

    folder: Path
    node: str

    @contextmanager
    def running(self, name: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """A module of this folder as if it lay in the installation's, with these environment variables and no others."""
        script = (HERE / f"{name}.mjs").read_text()
        with subprocess.Popen(
            [self.node, "--input-type=module", "--eval", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.folder,
            env=bare_environment() | settings,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()


def answer_of(process: subprocess.Popen[str], call: dict[str, Any]) -> Any:
    """What a client of clients/ saw of one call."""
    assert process.stdin is not None
    assert process.stdout is not None
    patience = Timer(CALL_WITHIN, process.kill)
    patience.start()
    try:
        process.stdin.write(json.dumps(call) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())
    finally:
        patience.cancel()


def bare_environment() -> dict[str, str]:
    """What programs need to start: no proxy, no key and no address of somebody else's."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMPDIR") if name in os.environ}


def installed(named: Sequence[Path] = (PACKAGES,), way: Sequence[str] = INSTALL) -> Modules:
    """The packages that these files name, installed in npm's `way` by whoever comes first. Raises Missing."""
    node, npm, version = programs()
    names = b"".join(file.read_bytes() for file in named)
    kept = hashlib.sha256(names + version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visionality-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"npm-{kept}"
    with (cache / f"npm-{kept}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            install([npm, *way], folder, named)
    return Modules(folder, node)


def programs() -> tuple[str, str, str]:
    """Where node and npm are, and node's version. Raises Missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        absent = "node" if node is None else "npm"
        raise Missing(
            f"{absent} is not on this machine: its tests need Node {OLDEST_NODE} or newer, with npm"
        )
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        raise Missing(f"node is {version}, and the clients of npm need Node {OLDEST_NODE} or newer")
    return node, npm, version


def install(command: Sequence[str], folder: Path, named: Sequence[Path]) -> None:
    """Make the folder whole or not at all. Raises Missing when the registry is out of reach."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for file in named:
        shutil.copy(file, unfinished)
    done = subprocess.run(
        command, cwd=unfinished, capture_output=True, text=True, timeout=INSTALL_WITHIN, check=False
    )
    if done.returncode and any(code in done.stderr for code in AWAY):
        raise Missing(f"the npm registry is out of reach: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    unfinished.rename(folder)
