"""How this installation's processes reach its database: each as its own role, with its own password.

The passwords stand in `<data_dir>/secrets/<role>.password` (0600), embedded database or not. With an outside database
`VIS_DATABASE_URL` names the server and an administrator who makes the roles; every process then logs in as its role.
"""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from visionality.postgres.endpoint import Endpoint, read_endpoint
from visionality.postgres.errors import PostgresFault
from visionality.runtime.pooling import Pooled
from visionality.runtime.settings import Settings

DATABASE = "vis"


class RolePasswordMissing(PostgresFault):
    """This data directory has no password for a role."""


@dataclass(frozen=True, slots=True)
class Access:
    """Addresses by role. Raises RolePasswordMissing for a role that was never set up here."""

    data_dir: Path
    endpoint: Endpoint | None
    database_url: str | None
    pooler_url: str | None = None

    def dsn(self, role: str) -> str:
        """The address for a role."""
        path = self._file(role)
        try:
            password = path.read_text().strip()
        except OSError as error:
            raise RolePasswordMissing(
                f"{path} cannot be read ({error.strerror}): run `vis migrate --data-dir {self.data_dir}` first, "
                "or put the role's password there"
            ) from error
        if self.endpoint is not None:
            return self.endpoint.dsn(DATABASE, role, password)
        assert self.database_url is not None
        return _as_role(self.database_url, role, password)

    def pooled_dsn(self, role: str) -> str:
        """The address for a role that keeps nothing in its session: through the pooler, where there is one."""
        direct = self.dsn(role)
        if self.pooler_url is None:
            return direct
        return Pooled(_as_role(self.pooler_url, role, self._file(role).read_text().strip()))

    def admin_dsn(self, database: str | None = None) -> str:
        """The address of whoever may make roles."""
        if self.endpoint is not None:
            return self.endpoint.dsn(database or DATABASE)
        assert self.database_url is not None
        return self.database_url

    def has_password(self, role: str) -> bool:
        return self._file(role).exists()

    def passwords(self, roles: Iterable[str]) -> dict[str, str]:
        """The roles' passwords, made where they are missing."""
        return {role: self._password(role) for role in roles}

    def _password(self, role: str) -> str:
        path = self._file(role)
        if path.exists():
            return path.read_text().strip()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = secrets.token_urlsafe(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        return password

    def _file(self, role: str) -> Path:
        return self.data_dir / "secrets" / f"{role}.password"


def access(settings: Settings) -> Access:
    """How to reach the database that runs now. Raises ClusterNotRunning when the embedded one does not."""
    if settings.database_url is not None:
        return Access(settings.data_dir, None, settings.database_url, settings.pooler_url)
    return Access(settings.data_dir, read_endpoint(settings.data_dir), None, settings.pooler_url)


def _as_role(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{host}"))
