#!/usr/bin/env python3
"""`vis-credential`: a short-lived key for the repository that you stand in, instead of a long-lived one in your shell.

A device holds one credential, which can do nothing but be exchanged. Coding assistants run `vis-credential key` where they
take a command for their key; the gateway hands out a key that says whose it is, and from which repository, branch and
commit. One file for Python 3.9 and newer, with nothing beside it. Whatever goes wrong is one sentence and exit code 1.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

if sys.platform != "win32":
    import fcntl

WITHIN, GIT_WITHIN = 10.0, 2.0
"""Seconds in which a command has ended whatever the network does, and in which git has."""
FRESH_FOR = 300
"""Seconds that a kept key must have left to be used without asking for a new one."""
CREDENTIAL_ENV = "VIS_DEVICE_CREDENTIAL"
GIT = "git.exe" if sys.platform == "win32" else "git"
MARK, EARLIER = "# vis-credential:", "post-checkout.before-vis-credential"
_CREDENTIAL = re.compile(r"(visk|vis2)_(live|test)_[A-Za-z0-9_-]{30,4000}")
_GATEWAY = re.compile(r"(?a)(https://[\w.-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:\d+)?(/[\w./-]*)?")
_REMOTE = re.compile(
    r"((?:https?|ssh|git|git\+ssh)://)(?:[^@/]*@)?([\w.-]+(?::\d+)?/[^@?#\s]{1,400})(?:[?#].*)?"
    r"|(?:[^@/\\:]*@)?([A-Za-z0-9][\w.-]+:(?!//|:)[^@?#\s\\]{1,400})"
)
"""A URL, or `user@host:path`. What stands before an `@` or behind a `?` may be a secret: it is in no group."""
_MISREAD = (ValueError, KeyError, TypeError, AttributeError)


class Trouble(Exception):
    """What a person is told, in one sentence."""


class Unreachable(Trouble):
    """The gateway gave no answer; a key that is kept may still do."""


class Device(NamedTuple):
    """What this device was set up with, and where that is kept."""

    gateway: str
    credential: str
    source: str


class Checkout(NamedTuple):
    """Where a person stands; nothing outside a repository."""

    repo: str | None = None
    branch: str | None = None
    commit: str | None = None


Key = dict[str, Any]  # `key`, `agent`, `expires` in Unix seconds, and `commit`


def main() -> int:
    """Run one command. Returns its exit code."""
    parser = argparse.ArgumentParser("vis-credential", description="Short-lived keys for coding assistants.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("key", help="print a key for the repository here")
    commands.add_parser("status", help="say what is set up, and for whom")
    login = commands.add_parser("login", help="keep this device's credential, which it asks for")
    login.add_argument("--gateway", required=True, metavar="URL", help="such as https://ai.example.com")
    commands.add_parser("hook", help="make a key at each checkout").add_argument("act", choices=["install"])
    given = parser.parse_args()
    os.umask(0o077)
    acts: dict[str, Callable[[], str]] = {"status": status, "hook": install_hook}
    acts["key"] = lambda: str(current(device(), checkout())["key"])
    acts["login"] = lambda: log_in(given.gateway)
    try:
        print(acts[given.command or "key"]())  # Codex runs a command of one word
    except (Trouble, OSError) as trouble:
        print(f"vis-credential: {trouble}", file=sys.stderr)
        return 1
    return 0


def current(device: Device, place: Checkout) -> Key:
    """A key for this place: the kept one while it is fresh, else a new one. Raises Trouble.

    Of tools that ask at the same time one asks the gateway, and the others take what it was given.
    """
    until = time.monotonic() + WITHIN
    named = json.dumps([device.gateway, device.credential, place.repo, place.branch]).encode()
    kept = _place("XDG_CACHE_HOME", ".cache", f"{hashlib.sha256(named).hexdigest()[:40]}.json")
    with _alone(kept.with_suffix(".lock"), until):
        key = _kept(kept)
        if key["expires"] > time.time() + FRESH_FOR and key["commit"] == place.commit:
            return key
        try:
            key = exchange(device, place, until)
        except Unreachable:
            if key["expires"] > time.time():
                return key
            raise
        _write(kept, key)
        return key


def exchange(device: Device, place: Checkout, until: float) -> Key:
    """A new key, before a moment of the monotonic clock. Raises Trouble."""
    wanted = json.dumps({name: value for name, value in place._asdict().items() if value}).encode()
    headers = {"Authorization": f"Bearer {device.credential}", "Content-Type": "application/json"}
    request = Request(f"{device.gateway}/device-keys", wanted, headers)  # noqa: S310 - a checked address
    heard: list[Key | Trouble] = []
    asking = Thread(target=lambda: heard.append(_asked(request, device.gateway)), daemon=True)
    asking.start()
    asking.join(max(0.1, until - time.monotonic()))  # a socket's timeout covers no DNS and no slow drip
    found = heard[0] if heard else Unreachable(f"{device.gateway} gave no answer within {WITHIN:g} seconds")
    if isinstance(found, Trouble):
        raise found
    return {**found, "commit": place.commit}


class _NoRedirect(HTTPRedirectHandler):
    """A credential goes where it was sent, and nowhere else; in the clear not to a proxy either."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _asked(request: Request, gateway: str) -> Key | Trouble:
    opener = build_opener(_NoRedirect, ProxyHandler({} if request.type == "http" else None))
    try:
        with opener.open(request, timeout=WITHIN) as answer:
            said = json.loads(answer.read(1 << 16))
        ends = timegm(time.strptime(said["expires_at"], "%Y-%m-%dT%H:%M:%SZ"))
        return {"key": str(said["key"]), "agent": str(said["agent"]), "expires": ends}
    except HTTPError as refused:
        with refused, suppress(OSError, HTTPException, *_MISREAD):
            message = f"the gateway refused: {json.loads(refused.read(1 << 16))['error']['message']}"
            return Unreachable(message) if refused.code >= 500 else Trouble(message)
        return Unreachable(f"{gateway} answered {refused.code} without saying why: is it a gateway?")
    except (URLError, OSError, HTTPException) as error:
        return Unreachable(f"{gateway} cannot be reached: {getattr(error, 'reason', error)}")
    except _MISREAD:
        return Unreachable(f"{gateway} gave an answer that is none of a gateway's: is it its address?")


def checkout() -> Checkout:
    """Where the working directory stands, as git says."""
    remote = _git("remote", "get-url", "origin")
    branch = _git("symbolic-ref", "--quiet", "--short", "HEAD")
    if branch and not (branch.isprintable() and len(branch) <= 255):
        branch = None
    return Checkout(without_secrets(remote or ""), branch, _git("rev-parse", "--verify", "--quiet", "HEAD"))


def without_secrets(remote: str) -> str | None:
    """A remote without user, password and query; None for a path of this machine, which says nothing elsewhere."""
    found = _REMOTE.fullmatch(remote)
    return "".join(part or "" for part in found.groups()) if found else None


def _git(*words: str) -> str | None:
    """What git prints, or None. What is called git in the working directory is somebody else's, and is not run."""
    with suppress(OSError, StopIteration, subprocess.TimeoutExpired):
        places = (Path(folder, GIT) for folder in os.get_exec_path())
        git = next(at for at in places if at.is_absolute() and at.is_file() and os.access(at, os.X_OK))
        done = subprocess.run([git, *words], capture_output=True, timeout=GIT_WITHIN, check=False)
        return done.stdout.decode(errors="replace").strip() or None if done.returncode == 0 else None
    return None


def device() -> Device:
    """What was set up: by the environment, else by `login`. Raises Trouble."""
    said, named = {}, os.environ.get(CREDENTIAL_ENV)
    with suppress(FileNotFoundError, ValueError):
        said = json.loads(_device_file().read_text())
    gateway = os.environ.get("VIS_GATEWAY") or said.get("gateway")
    credential = named or said.get("credential")
    if not gateway or not credential:
        raise Trouble("this device is not set up: run `vis-credential login --gateway URL`")
    if not named and gateway.rstrip("/") != said.get("gateway"):
        raise Trouble(f"VIS_GATEWAY is not what {_device_file()} is for: say {CREDENTIAL_ENV} beside it")
    return checked(gateway, credential, CREDENTIAL_ENV if named else str(_device_file()))


def log_in(gateway: str) -> str:
    """Keep the credential of this device, unless the gateway refuses it. Raises Trouble."""
    credential = os.environ.get(CREDENTIAL_ENV, "")
    if not credential:
        credential = getpass.getpass("device credential: ") if sys.stdin.isatty() else sys.stdin.readline()
    new, file = checked(gateway, credential.strip(), ""), _device_file()
    try:
        whose = f"for {exchange(new, Checkout(), time.monotonic() + WITHIN)['agent']}"
    except Unreachable as trouble:
        whose = f"and not tried yet, since {trouble}"
    _write(file, {"gateway": new.gateway, "credential": new.credential})
    return f"The credential of this device is kept in {file}, {whose}."


def status() -> str:
    """What is set up, in sentences. Raises Trouble."""
    here, place = device(), checkout()
    key = current(here, place)
    where = f"{place.repo or 'a repository without a remote'}, on {place.branch or 'no branch'}"
    return (
        f"Keys come from {here.gateway}, by the credential in {here.source}. They are for {key['agent']}.\n"
        f"This directory is {where if any(place) else 'in no repository, so its key names the person alone'}.\n"
        f"Its key lives {max(0, round((key['expires'] - time.time()) / 60))} more minutes."
    )


def install_hook() -> str:
    """Have git refresh the key after each checkout. Raises Trouble."""
    folder = _git("rev-parse", "--git-path", "hooks")
    if folder is None:
        raise Trouble("the working directory is in no git repository")
    hook, earlier = Path(folder).resolve() / "post-checkout", Path(folder).resolve() / EARLIER
    if hook.exists() and MARK not in hook.read_text(errors="replace"):
        if earlier.exists():
            raise Trouble(f"{hook} would be kept as {earlier}, which is there already: take one of them away")
        hook.rename(earlier)
    chained = f" Your own hook runs after it, from {earlier}." if earlier.exists() else ""
    command = " ".join(shlex.quote(str(word)) for word in (sys.executable, Path(__file__).resolve()))
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(
        f"#!/bin/sh\n{MARK} refresh the key of this checkout. No checkout waits for it, or fails by it.\n"
        f"({command} key </dev/null >/dev/null 2>&1 &)\n"
        f'earlier="$(dirname "$0")/{EARLIER}"\n'
        '[ -x "$earlier" ] && exec "$earlier" "$@"\nexit 0\n'
    )
    hook.chmod(0o755)
    return f"{hook} refreshes the key after each checkout.{chained}"


def checked(gateway: str, credential: str, source: str) -> Device:
    """A credential of that shape, and an address that it may go to. Raises Trouble, which repeats neither."""
    if not _GATEWAY.fullmatch(gateway):
        raise Trouble("the gateway's address is not usable: expected one such as https://ai.example.com")
    if not _CREDENTIAL.fullmatch(credential):
        raise Trouble("this is no device credential: expected what `vis key issue --scope exchange` printed")
    return Device(gateway.rstrip("/"), credential, source)


def _device_file() -> Path:
    return _place("XDG_CONFIG_HOME", ".config", "device.json")


def _place(variable: str, default: str, name: str) -> Path:
    """A file of this user's. On Windows settings and caches lie together."""
    variable, default = ("LOCALAPPDATA", "AppData/Local") if sys.platform == "win32" else (variable, default)
    return Path(os.environ.get(variable) or Path.home() / default) / "visionality" / name


def _kept(file: Path) -> Key:
    """A kept key, or nothing."""
    with suppress(OSError, *_MISREAD):
        said = json.loads(file.read_text())
        return {name: said[name] for name in ("key", "agent", "expires", "commit")}
    return {"expires": 0}


@contextmanager
def _alone(file: Path, until: float) -> Iterator[None]:
    """One at a time, as long as there is time to wait; after it each asks for itself, which is only dearer."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        while sys.platform != "win32" and time.monotonic() < until - 1:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        yield


def _write(file: Path, said: dict[str, Any]) -> None:
    """Put a file in place whole, for its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.urandom(8).hex()}")  # where nobody can have laid a link
    unfinished.write_text(json.dumps(said))
    unfinished.replace(file)


if __name__ == "__main__":
    sys.exit(main())
