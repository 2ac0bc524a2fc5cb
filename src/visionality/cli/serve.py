"""One process alone: `vis gateway`, `vis web`, `vis jobs`, `vis sandbox`.

Under `vis up` the supervisor holds the listening sockets and hands one down, so that callers queue while a process
restarts; alone, a process binds its own.
"""

import math
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from visionality.cli.apart import apart
from visionality.cli.installation import CannotStart, Installation, installation, report
from visionality.runtime.clock import utc_now
from visionality.runtime.settings import MOST_WORKERS, Settings, from_environment

if TYPE_CHECKING:
    from visionality.gateway.spans import Spans
    from visionality.vault.installation import Stored

HOST = "127.0.0.1"
SOCKET_FD = "VIS_SOCKET_FD"
"""Set by the supervisor for its children only."""
GO_FD = "VIS_GO_FD"
"""Set by the supervisor at its own start: a byte comes here when the database is ready, nothing when it never will."""
READY_FD = "VIS_READY_FD"
"""Set by the supervisor: where a process writes a byte when it serves."""
WORKERS_DIR = "VIS_WORKERS_DIR"
"""Set by the supervisor: a directory of this user alone in which the workers of one port meet."""
WORKER = "VIS_WORKER"
"""Set by the supervisor: which of them this is."""
BACKLOG = 2048


workers_option = click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    help="Gateway processes behind its port.  [VIS_GATEWAY_WORKERS, one for each core, at most 8]",
)


def listening_socket(port: int, option: str) -> socket.socket:
    """A bound loopback socket; port 0 takes a free one. Raises CannotStart when the port is in use."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise CannotStart(
            f"port {port} on {HOST} cannot be used ({error.strerror}): stop what listens there, or choose another with {option}"
        ) from None
    return made


def _wait_for_the_database() -> None:
    """Called when everything is imported: that is what a process does while the database starts."""
    handed_down = os.environ.get(GO_FD)
    if handed_down and not os.read(int(handed_down), 1):
        raise CannotStart("the supervisor could not make the database ready")


def _fit_to_serve(here: Installation) -> None:
    """What every process checks before it opens its door."""
    import psycopg

    from visionality.web.migrate import missing_migrations

    _wait_for_the_database()
    with psycopg.connect(here.access.dsn("vis_reader")) as connection:
        missing = missing_migrations(connection)
    if missing:
        raise CannotStart(
            f"the database lacks {len(missing)} migrations ({missing[0]}, …): run `vis migrate` first"
        )


@click.command(epilog="Example: vis gateway --data-dir ./data --gateway-port 8700")
@installation
@click.option(
    "--gateway-port", type=int, help="Port on 127.0.0.1, 0 for a free one.  [VIS_GATEWAY_PORT, 8700]"
)
@workers_option
@click.option(
    "--sandbox-url", help="Send calls without a provider key to this simulated provider.  [VIS_SANDBOX_URL]"
)
def gateway_command(
    here: Installation, gateway_port: int | None, workers: int | None, sandbox_url: str | None
) -> None:
    """Run the gateway alone."""
    settings = from_environment(
        data_dir=here.settings.data_dir,
        database_url=here.settings.database_url,
        gateway_port=gateway_port,
        gateway_workers=workers,
        sandbox_url=sandbox_url,
    )
    spans = _exporter()
    if settings.gateway_workers == 1 or SOCKET_FD in os.environ:
        _serve_gateway(here, settings, spans)
        return
    from visionality.cli.workers import run_workers

    _fit_to_serve(here)
    with listening_socket(settings.gateway_port, "--gateway-port") as sock:
        run_workers(settings, sock, settings.gateway_workers)


def _exporter() -> "type[Spans] | None":
    from visionality.gateway.exporting import CannotExport, exporter

    try:
        return exporter(os.environ)
    except CannotExport as why:
        raise CannotStart(str(why)) from None


def _checked(here: Installation) -> "Stored | None":
    """What a gateway asks the database before it serves: what that knows of the keys, or None before the first start."""
    import psycopg

    from visionality.cli.prepare import refuse_unsafe
    from visionality.vault.installation import stored

    _fit_to_serve(here)
    refuse_unsafe(here.access)
    with psycopg.connect(here.access.dsn("vis_web")) as connection:
        return stored(connection)


def _serve_gateway(here: Installation, settings: Settings, spans: "type[Spans] | None") -> None:
    known = apart(lambda: _checked(here))
    from visionality.cli.serving import serve
    from visionality.gateway.app import GatewayApp
    from visionality.runtime.logging import configure
    from visionality.vault.installation import known_keys
    from visionality.vault.keyproviders.cached import Cached

    configure("gateway")
    found = known()
    keys = Cached(here.keys() if found is None else known_keys(here.settings, found, report), time.monotonic)
    place, number = os.environ.get(WORKERS_DIR), os.environ.get(WORKER)
    workers = (Path(place), int(number)) if place and number and settings.gateway_workers > 1 else None
    meet = workers[0] if workers else None
    dsns = here.access.pooled_dsn("vis_writer"), here.access.dsn("vis_writer")
    app = GatewayApp(settings, utc_now, keys, *dsns, workers_meet=meet, exporter=spans)
    patience = math.ceil(settings.drain_seconds)
    serve(app, settings.gateway_port, "--gateway-port", patience=patience, workers=workers)


@click.command(epilog="Example: vis web --data-dir ./data --web-port 8701")
@installation
@click.option("--web-port", type=int, help="Port on 127.0.0.1, 0 for a free one.  [VIS_WEB_PORT, 8701]")
def web_command(here: Installation, web_port: int | None) -> None:
    """Run the web plane alone."""
    from visionality.cli.serving import serve
    from visionality.runtime.logging import let_warnings_through
    from visionality.vault.keyproviders.cached import Cached
    from visionality.vault.purposes import SERVICE_TOKENS, WEB_SESSIONS
    from visionality.web.app import WebSettings, application, load

    let_warnings_through("web")
    load()
    _fit_to_serve(here)
    settings = here.settings
    keys = Cached(here.keys(), time.monotonic)
    web = WebSettings(
        web_dsn=here.access.dsn("vis_web"),
        reader_dsn=here.access.dsn("vis_reader"),
        secret_key=keys.secret(WEB_SESSIONS).hex(),
        token_pepper=keys.secret(SERVICE_TOKENS),
        keys=keys,
        sandbox=settings.sandbox_url is not None,
        gateway_url=f"http://{HOST}:{settings.gateway_port}",
        public_url=settings.public_url or "",
        smtp_url=settings.smtp_url,
        mail_from=settings.mail_from,
        trusted_hops=settings.trusted_hops,
        clock=utc_now,
    )
    serve(application(web), settings.web_port if web_port is None else web_port, "--web-port", patience=3)


@click.command(epilog="Example: vis jobs --data-dir ./data")
@installation
@click.option(
    "--jobs-port", type=int, help="Port on 127.0.0.1 for health and metrics.  [VIS_JOBS_PORT, 8702]"
)
def jobs_command(here: Installation, jobs_port: int | None) -> None:
    """Run the jobs alone."""
    from visionality.cli.serving import serve
    from visionality.jobs.app import JobsApp
    from visionality.runtime.logging import configure
    from visionality.vault.keyproviders.cached import Cached

    configure("jobs")
    _fit_to_serve(here)
    settings = here.settings
    keys = Cached(here.keys(), time.monotonic)
    app = JobsApp(settings, utc_now, here.access.dsn, keys)
    serve(app, settings.jobs_port if jobs_port is None else jobs_port, "--jobs-port", patience=3)


@click.command(epilog="Example: vis sandbox --port 8703")
@installation
@click.option(
    "--port", type=int, default=8703, show_default=True, help="Port on 127.0.0.1, 0 for a free one."
)
def sandbox_command(_here: Installation, port: int) -> None:
    """Run the simulated provider alone. Nothing in it is a real model."""
    from visionality.cli.serving import serve
    from visionality.runtime.logging import let_warnings_through
    from visionality.sandbox.app import application

    let_warnings_through("sandbox")
    _wait_for_the_database()
    serve(application, port, "--port", patience=1)
