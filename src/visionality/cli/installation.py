"""The installation that a command works on: its settings, its database, its organisation."""

import functools
import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click
import msgspec

from visionality.runtime.clock import utc_now
from visionality.runtime.settings import Settings, from_environment

if TYPE_CHECKING:
    import psycopg

    from visionality.postgres.access import Access

ADDRESSES = "addresses.json"
DEFAULT_ORGANISATION = "default"

_Command = TypeVar("_Command", bound=Callable[..., Any])


class NotRunning(Exception):
    """Something is needed that does not run."""


class CannotStart(Exception):
    """The installation is not fit to serve; the message names each reason."""


@dataclass(slots=True)
class Installation:
    """What a command needs of the installation in a data directory."""

    settings: Settings
    org_slug: str = DEFAULT_ORGANISATION
    _access: "Access | None" = field(default=None, init=False)

    @property
    def access(self) -> "Access":
        from visionality.postgres.access import access

        if self._access is None:
            self._access = access(self.settings)
        return self._access

    @property
    def org_id(self) -> UUID:
        """The organisation that the command is for."""
        import psycopg

        with psycopg.connect(self.access.dsn("vis_web")) as connection:
            return self.org_in(connection)

    def org_in(self, connection: "psycopg.Connection[Any]") -> UUID:
        """The same, by a connection of `vis_web` that is open already."""
        found = connection.execute(
            "select org_id from vis.orgs_v1 where slug = %s", [self.org_slug]
        ).fetchone()
        if found is None:
            raise NotRunning(f"there is no organisation {self.org_slug}")
        return UUID(str(found[0]))

    @contextmanager
    def control(self) -> Iterator[Any]:
        """Django, set up for this organisation, in one transaction; yields the act to pass to what is done."""
        from visionality.web.start import organisation_context, start_django

        start_django({"default": self.access.dsn("vis_web")})
        from visionality.web.policy.acts import Act

        org_id = self.org_id
        with organisation_context(org_id):
            yield Act(org_id, actor(), utc_now())

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[tuple["psycopg.Connection[Any]", UUID]]:
        """A read-only transaction on the organisation's rows."""
        from visionality.ledger.reader import reading

        org_id = self.org_id
        with reading(self.access.dsn("vis_reader"), org_id, snapshot=snapshot) as connection:
            yield connection, org_id

    def keys(self) -> Any:
        """The KeyProvider."""
        from visionality.vault.installation import open_keys

        return open_keys(self.settings, self.access.dsn("vis_web"), report)

    def web_url(self) -> str:
        """Where browsers find the pages, without a slash at its end. Raises NotRunning."""
        return self.settings.public_url or str(self.addresses()["web"]).rstrip("/")

    def addresses(self) -> dict[str, Any]:
        """Where the running processes answer. Raises NotRunning."""
        path = self.settings.data_dir / ADDRESSES
        try:
            found: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            raise NotRunning(
                f"nothing runs for {self.settings.data_dir}: start it with `vis up --data-dir {self.settings.data_dir}`"
            ) from None
        return found


def actor() -> str:
    """Who gives a command, as the audit log names them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


def report(line: str) -> None:
    """Progress, on standard error, so that standard output holds only what was asked for."""
    click.echo(line, err=True)


def installation(command: _Command) -> _Command:
    """Give a command the options that all have, and the Installation as its first argument."""

    @click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        help="Where this installation lives.  [VIS_DATA_DIR, ./.visionality]",
    )
    @click.option(
        "--database-url", help="An outside PostgreSQL instead of the embedded one.  [VIS_DATABASE_URL]"
    )
    @click.option(
        "--org", default=DEFAULT_ORGANISATION, show_default=True, help="The organisation, by its slug."
    )
    @functools.wraps(command)
    def wrapped(data_dir: Path | None, database_url: str | None, org: str, **options: Any) -> Any:
        settings = from_environment(data_dir=data_dir, database_url=database_url)
        return command(Installation(settings, org), **options)

    return wrapped  # type: ignore[return-value]


def as_json(command: _Command) -> _Command:
    """The `--json` option of a command that prints data."""
    return click.option("--json", "in_json", is_flag=True, help="Print JSON, one object a line.")(command)


def show(record: Any) -> None:
    """One JSON object on a line of standard output."""
    click.echo(msgspec.json.encode(record, enc_hook=str).decode())
