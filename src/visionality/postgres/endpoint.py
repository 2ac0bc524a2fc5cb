"""How any process of this user reaches the running cluster.

Readiness is what pg_isready asks: a start-up packet and the first byte of the
answer (PostgreSQL documentation, "Message Flow"), without a password.
"""

import enum
import os
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from visionality.postgres.errors import PostgresFault
from visionality.postgres.place import DataDirUnusable, read_record

PROTOCOL_3_0 = 3 << 16
CANNOT_CONNECT_NOW = b"C57P03\0"  # SQLSTATE field of an error: starting up or shutting down
PROBE_TIMEOUT_S = 5.0


class ClusterNotRunning(PostgresFault):
    """No server answers for this data directory."""


class Answer(enum.Enum):
    """What a server says to somebody who knocks."""

    NONE = "none"
    NOT_YET = "not yet"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The socket of one cluster and the superuser's credential."""

    socket_dir: Path
    port: int
    superuser: str
    password: str = field(repr=False)

    def dsn(self, database: str, user: str | None = None, password: str | None = None) -> str:
        """A libpq URI that psycopg and asyncpg read alike; the superuser's unless `user` is given."""
        if user is None:
            user, password = self.superuser, self.password
        secret = "" if password is None else ":" + quote(password, safe="")
        host = quote(os.fsencode(self.socket_dir), safe="")
        return (
            f"postgresql://{quote(user, safe='')}{secret}@/{quote(database, safe='')}"
            f"?host={host}&port={self.port}"
        )

    def knock(self) -> Answer:
        """Whether a server listens, and takes connections."""
        words = b"user\0%s\0database\0postgres\0\0" % self.superuser.encode()
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(PROBE_TIMEOUT_S)
                door.connect(str(self.socket_dir / f".s.PGSQL.{self.port}"))
                door.sendall(struct.pack("!ii", len(words) + 8, PROTOCOL_3_0) + words)
                reply = door.recv(4096)
        except OSError:
            return Answer.NONE
        if not reply:
            return Answer.NONE
        return Answer.NOT_YET if CANNOT_CONNECT_NOW in reply else Answer.READY


def password_file(data_dir: Path) -> Path:
    """Where the superuser's password is."""
    return data_dir / "secrets" / "vis_super.password"


def read_endpoint(data_dir: Path) -> Endpoint:
    """The endpoint of the server that runs for this data directory.

    Raises ClusterNotRunning, or DataDirUnusable when this user may not read it.
    """
    data_dir = data_dir.resolve()
    away = f"no database runs for {data_dir}: start it with `vis up --data-dir {data_dir}`"
    if (record := read_record(data_dir)) is None:
        raise ClusterNotRunning(away)
    try:
        password = password_file(data_dir).read_text().strip()
    except OSError as error:
        raise DataDirUnusable(
            f"{password_file(data_dir)} cannot be read ({error.strerror}): "
            f"use the account that started the database"
        ) from error
    endpoint = Endpoint(data_dir / record.socket_dir, record.port, record.superuser, password)
    if endpoint.knock() is Answer.NONE:
        raise ClusterNotRunning(away)
    return endpoint
