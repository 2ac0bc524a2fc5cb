"""Installing a peer by the ordinary client of its registry, once, into a directory outside the repository."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers.peer import CannotRun

CACHE = Path(os.environ.get("PEERS_CACHE") or Path.home() / ".cache" / "visionality-peers")
INSTALLS_WITHIN = 900.0
DONE = "installed"
"""The file that says that an installation ended well; a torn one is made again."""


def by_pip(home: Path, *requirements: str) -> str:
    """A virtual environment of its own. Returns the version of the first requirement."""
    if not (home / DONE).exists():
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *requirements])
        (home / DONE).touch()
    name = requirements[0].partition("[")[0]
    asked = f"import importlib.metadata as m; print(m.version({name!r}))"
    return _run([str(home / "bin/python"), "-c", asked])


def by_npm(home: Path, package: str) -> str:
    """A folder with its node_modules. Returns the package's version."""
    if not (home / DONE).exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(home), package])
        (home / DONE).touch()
    return _run(["node", "-p", f"require({str(home / 'node_modules' / package / 'package.json')!r}).version"])


def by_apt(home: Path, *packages: str) -> str:
    """Debian packages, unpacked without installing them. Returns the version of the first one."""
    if not (home / DONE).exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _run(["apt-get", "download", "-qq", *packages], home)
        for found in sorted(home.glob("*.deb")):
            _run(["dpkg", "-x", str(found), str(home)])
        (home / DONE).touch()
    return _run(["dpkg-deb", "-f", str(next(home.glob(f"{packages[0]}_*.deb"))), "Version"])


def _run(command: Sequence[str], where: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=where, capture_output=True, text=True, timeout=INSTALLS_WITHIN, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRun(str(error)) from error
    if done.returncode:
        raise CannotRun(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-600:]}")
    return done.stdout.strip()
