"""A real pgbouncer in transaction mode before a test's PostgreSQL: Debian's package, on a port of its own."""

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from product import PATIENCE
from visionality.postgres import Endpoint
from visionality.postgres.account import server_account

PROGRAM = "pgbouncer"
INSTALL_WITHIN = 300
SERVERS = 4
"""Sessions that it opens at the server for each role: fewer than its clients have, so that they share them."""


def program() -> str:
    """Where pgbouncer is, installed first where Debian's packages can be had."""
    found = shutil.which(PROGRAM, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None and shutil.which("apt-get"):
        for words in (["update", "-q"], ["install", "-qy", "--no-install-recommends", PROGRAM]):
            subprocess.run(["apt-get", *words], capture_output=True, timeout=INSTALL_WITHIN, check=False)
        found = shutil.which(PROGRAM, path="/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{PROGRAM} is not on this machine, and apt-get could not install it")
    return found


@contextmanager
def pooled(endpoint: Endpoint, database: str, passwords: Mapping[str, str]) -> Iterator[str]:
    """The address of a pooler for these roles of a database, while it runs as the server's account."""
    account = server_account()
    with TemporaryDirectory(prefix="vis-pooler-") as made:
        home = Path(made)
        port = _free_port()
        _configure(home, port, endpoint, database, passwords)
        for path in (home, *home.iterdir()):
            account.own(path)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [program(), str(home / "pgbouncer.ini")],
                stdout=log,
                stderr=log,
                user=account.uid if account.switch else None,
            )
        try:
            _until_it_listens(port, process, home / "log")
            yield f"postgresql://127.0.0.1:{port}/{database}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _configure(
    home: Path, port: int, endpoint: Endpoint, database: str, passwords: Mapping[str, str]
) -> None:
    users = "".join(f'"{role}" "{password}"\n' for role, password in passwords.items())
    (home / "users.txt").write_text(users)
    (home / "pgbouncer.ini").write_text(f"""
[databases]
{database} = host={endpoint.socket_dir} port={endpoint.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {home}/users.txt
pool_mode = transaction
default_pool_size = {SERVERS}
max_client_conn = 200
server_login_retry = 1
""")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None, log.read_text()
        else:
            return
