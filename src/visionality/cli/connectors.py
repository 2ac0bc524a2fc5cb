"""`vis connector add|list|test|sync|set-secret|webhook|remove`."""

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

import click

from visionality.cli.installation import Installation, NotRunning, as_json, installation, show
from visionality.cli.secret import read_secret
from visionality.connectors.services import KINDS

if TYPE_CHECKING:
    from visionality.web.connecting.models import ConnectorRun

connector_command = click.Group(
    "connector", help="Trackers and Git hosts that issues and pull requests are read from."
)

LONGEST_WAIT = 30.0
"""Seconds that a command waits where a service asks for it; the jobs wait for longer."""
TAKEN_UP_WITHIN = 30.0
"""Seconds in which a jobs process begins what is asked for."""
ASK_AGAIN_AFTER = 0.3

_name = click.argument("name")
_expires = click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day on which the credential ends, as its service says.",
)


@connector_command.command(
    "add",
    epilog="""\b
Example: vis connector add jira_cloud --base-url https://arctrade.atlassian.net --account ops@arctrade.example < token
  vis connector add bitbucket --scope arctrade --webhook-secret
  vis connector add gitlab --base-url https://git.arctrade.example --scope billing --ca-bundle ca.pem""",
)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--name", help="What it is called here.  [the kind]")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="Jira: a project's key (all when left out). Bitbucket: a workspace. GitHub: an organisation. GitLab: a group. "
    "Once for each.",
)
@click.option("--base-url", default="", help="Where it stands; left out for the public service.")
@click.option(
    "--account", default="", help="The e-mail address that goes with the token; left out for a bearer token."
)
@click.option("--ca-bundle", type=click.File("rb"), help="Certificates in PEM that its own is signed with.")
@click.option("--webhook-secret", is_flag=True, help="Make the secret of its webhooks too, and show it once.")
@_expires
@installation
def _add(
    here: Installation,
    kind: str,
    *,
    name: str | None,
    scopes: tuple[str, ...],
    base_url: str,
    account: str,
    ca_bundle: BinaryIO | None,
    webhook_secret: bool,
    expires: datetime | None,
) -> None:
    """Read issues, or repositories and pull requests, from a service from now on. Nothing is ever written to it.

    The token is read from standard input, or asked for.
    """
    from visionality.connectors.services import Target

    name = name or kind
    bundle = ca_bundle.read().decode(errors="replace") if ca_bundle else ""
    target = Target(kind, base_url, scopes, account, bundle)
    secret = read_secret(f"Token for {KINDS[kind]}")
    keys = here.keys()
    with here.control() as act:
        from visionality.web.connecting import acts

        acts.add_connector(act, keys, name, target, secret, _utc(expires))
    click.echo(
        f"{KINDS[kind]} is connected as {name}: jobs read it at once, `vis connector list` shows how it goes"
    )
    if webhook_secret:
        _webhook(here, name)


@connector_command.command("list", epilog="Example: vis connector list --json")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """Show each connector: when it was last read, what goes on now, and what is wrong."""
    with here.control() as act:
        from visionality.web.connecting import access, words

        runs = list(access.access_runs(act))
    for run in runs:
        if in_json:
            show(words.record(run, act.now))
        else:
            click.echo(words.line(run, act.now))


@connector_command.command("test", epilog="Example: vis connector test jira_cloud")
@_name
@installation
def _test(here: Installation, name: str) -> None:
    """Ask the service, and say in one sentence whom it takes us for or what is wrong."""
    import psycopg

    from visionality.connectors.model import LONGEST_SENTENCE
    from visionality.connectors.services import connect
    from visionality.core.call import clean
    from visionality.jobs.connector_secret import opened
    from visionality.runtime.clock import utc_now

    with here.control() as act:
        from visionality.web.connecting.access import access_connector

        found = access_connector(act, name)
    with psycopg.connect(here.access.dsn("vis_jobs")) as connection:
        target, secret = opened(connection, here.keys(), found.id)
    click.echo(clean(connect(target, secret, utc_now, _sit_out).check(), LONGEST_SENTENCE))


@connector_command.command("sync", epilog="Example: vis connector sync jira_cloud --full")
@_name
@click.option("--full", is_flag=True, help="Everything, and not only what changed.")
@installation
def _sync(here: Installation, name: str, *, full: bool) -> None:
    """Have it read now, and show the progress until that is done."""
    with here.control() as act:
        from visionality.web.connecting import acts
        from visionality.web.connecting.access import access_run

        found = acts.ask_for_sync(act, name, full=full)
        before = access_run(act, found.id).number
    _follow(here, name, before, act.now)


@connector_command.command("set-secret", epilog="Example: vis connector set-secret jira_cloud < token")
@_name
@_expires
@installation
def _set_secret(here: Installation, name: str, *, expires: datetime | None) -> None:
    """Go by another credential from now on. It is read from standard input, or asked for."""
    secret = read_secret(f"Token for {name}")
    keys = here.keys()
    with here.control() as act:
        from visionality.web.connecting import acts

        acts.set_secret(act, keys, name, secret, _utc(expires))
    click.echo(f"{name} is read with the new credential from now on")


@connector_command.command("webhook", epilog="Example: vis connector webhook bitbucket")
@_name
@installation
def _set_webhook(here: Installation, name: str) -> None:
    """Make a new secret for its webhooks, and show it once with the address to enter. An earlier one ends."""
    _webhook(here, name)


@connector_command.command("remove", epilog="Example: vis connector remove bitbucket")
@_name
@installation
def _remove(here: Installation, name: str) -> None:
    """Read from it no more. What was read stays, since rows refer to it."""
    with here.control() as act:
        from visionality.web.connecting import acts

        acts.remove_connector(act, name)
    click.echo(f"{name} is not read any more; what was read stays")


def _webhook(here: Installation, name: str) -> None:
    secret, keys = secrets.token_urlsafe(32), here.keys()
    with here.control() as act:
        from visionality.web.connecting import acts

        found = acts.set_webhook_secret(act, keys, name, secret.encode())
    click.echo(f"webhook address: {_web(here)}/hooks/{found.id}")
    click.echo(f"webhook secret:  {secret}")
    click.echo(
        "enter both at the service, with the host under which it reaches these pages; the secret is not shown again",
        err=True,
    )


def _web(here: Installation) -> str:
    try:
        return str(here.addresses()["web"])
    except NotRunning:
        return f"http://127.0.0.1:{here.settings.web_port}"


def _follow(here: Installation, name: str, before: int, asked_at: datetime) -> None:
    """Show each step of the runs after that number. Raises ConnectorFault with what went wrong, NotRunning when none begins."""
    from visionality.connectors.model import ConnectorFault
    from visionality.web.connecting import words

    shown, give_up = "", time.monotonic() + TAKEN_UP_WITHIN
    while (run := _run(here, name)).number <= before or words.is_running(run):
        if words.is_running(run):
            give_up = time.monotonic() + TAKEN_UP_WITHIN
            if (line := words.progress(run)) != shown:
                click.echo(line, err=True)
                shown = line
        elif run.finished_at and run.finished_at >= asked_at and (run.failures or run.is_paused):
            break  # the one that went on when we asked: what was wrong with it keeps ours from beginning
        if time.monotonic() > give_up:
            raise NotRunning(
                f"nobody read {name} within {TAKEN_UP_WITHIN:g} s: start the jobs with `vis up` or `vis jobs`"
            )
        time.sleep(ASK_AGAIN_AFTER)
    if run.error or run.is_paused:
        raise ConnectorFault(run.error or run.doing)
    click.echo(
        f"{name} was read: {words.counted(run.counts) or 'nothing'} said, holds {words.counted(run.held) or 'nothing'}"
    )


def _run(here: Installation, name: str) -> "ConnectorRun":
    with here.control() as act:
        from visionality.web.connecting import access

        return access.access_run(act, access.access_connector(act, name).id)


def _sit_out(seconds: float) -> bool:
    """Somebody looks on. Raises ConnectorFault for a wait that only the jobs have time for."""
    from visionality.connectors.model import ConnectorFault

    if seconds > LONGEST_WAIT:
        raise ConnectorFault(f"The service wants to be asked again in {seconds:.0f} s: try it then.")
    time.sleep(seconds)
    return False


def _utc(day: datetime | None) -> datetime | None:
    return day.replace(tzinfo=UTC) if day else None
