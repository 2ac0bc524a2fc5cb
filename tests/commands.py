"""Commands of `vis` without the wait for Python to load: a process that has loaded everything forks one for each.

A command still runs in a process of its own, with its arguments, environment, streams and exit code. What a start from
nothing is like is seen by every `vis up` of these tests and by tests/cli/test_loading.py.
"""

import atexit
import functools
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def vis(
    words: Sequence[str], environment: Mapping[str, str], stdin: str, patience: float
) -> subprocess.CompletedProcess[str]:
    """What `vis WORDS` ends with. Raises TimeoutExpired, as `subprocess.run` does, and leaves nothing running."""
    with TemporaryDirectory() as made, socket.socket(socket.AF_UNIX) as server:
        Path(made, "stdin").write_text(stdin)
        server.connect(_server())
        asked = {
            "words": list(words),
            "environment": dict(environment),
            "cwd": str(Path.cwd()),
            "streams": made,
        }
        with server.makefile("rw") as line:
            _say(line, asked)
            pid = json.loads(line.readline())
            server.settimeout(patience)
            try:
                code = json.loads(line.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["vis", *words], patience) from None
        said = [Path(made, name).read_text() for name, _ in STREAMS[1:]]
    return subprocess.CompletedProcess(["vis", *words], code, *said)


@functools.cache
def _server() -> str:
    """The address of this process's server, which ends with it."""
    directory = TemporaryDirectory(prefix="vis-")
    address = str(Path(directory.name, "commands"))
    process = subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    _kept.append((directory, process))
    return address


_kept: list[Any] = []


def _serve(address: str) -> None:
    _load()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print(flush=True)
        while server in select.select([server, sys.stdin], [], [])[0]:
            client, _ = server.accept()
            with client:
                if os.fork() == 0:
                    server.close()
                    _answer(client)
                    os._exit(0)


def _load() -> None:
    """What the commands load when they are called."""
    from visionality import cli  # noqa: PLC0415 -- not for the tests themselves
    from visionality.web.start import start_django  # noqa: PLC0415

    start_django({})
    for name in (
        "web.policy.acts",
        "web.issuing.keys",
        "vault.installation",
        "postgres.access",
        "ledger.reader",
    ):
        import_module(f"visionality.{name}")
    for found in pkgutil.walk_packages(cli.__path__, "visionality.cli."):
        if not found.name.endswith("__main__"):
            import_module(found.name)


def _answer(client: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with client.makefile("rw") as line:
        asked = json.loads(line.readline())
        pid = os.fork()
        if pid == 0:
            client.close()
            _run(asked)
        _say(line, pid)
        _say(line, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _run(asked: dict[str, Any]) -> None:
    from visionality.cli.main import main  # noqa: PLC0415 -- loaded before the fork

    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["cwd"])
    for number, (name, mode) in enumerate(STREAMS):
        with Path(asked["streams"], name).open(mode) as file:
            os.dup2(file.fileno(), number)
    sys.argv = ["vis", *asked["words"]]
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 -- as an interpreter does that ends
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # without taking apart what was loaded


def _say(line: TextIO, what: object) -> None:
    line.write(json.dumps(what) + "\n")
    line.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
