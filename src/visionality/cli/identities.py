"""`vis identity import|list|set`."""

from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import click

from visionality.cli.agreement import agree
from visionality.cli.installation import Installation, as_json, installation, show

identity_command = click.Group("identity", help="The identity table: whose an agent is, and since when.")

_DAY = click.DateTime(["%Y-%m-%d"])
_FROM = click.option("--from", "first_day", type=_DAY, help="First day, UTC; now when left out.")


@identity_command.command(
    "import",
    epilog="""\b
Example: vis identity import people.csv
  vis identity import people.csv --from 2026-12-01 --yes""",
)
@click.argument("file", type=click.File("rb"))
@_FROM
@click.option("--yes", is_flag=True, help="Do not ask, and create teams and people that are not there yet.")
@installation
def _import(here: Installation, file: BinaryIO, *, first_day: datetime | None, yes: bool) -> None:
    """Take whose agents are from a CSV, after it was checked whole and its changes were shown.

    Its header names agent_sub, owner, sso_sub, team, cost_center and gl_code. An empty cell is none. Agents that the file
    does not name stay as they are, and so do rows that exist.
    """
    from visionality.core.identity_table import LARGEST

    content, start = file.read(LARGEST + 1), _utc(first_day)
    with here.control() as act:
        from visionality.web.policy import identities

        plan = identities.plan_of_file(act, content, start)
    if not plan.changes:
        click.echo("the identity table says this already: nothing changes")
        return
    for line in plan.changes:
        click.echo(line)
    if not yes:
        if missing := ", ".join((*plan.new_teams, *plan.new_people)):
            raise click.ClickException(
                f"nothing was applied, since teams or people are not there: {missing}. Add them with `vis team add` and "
                "`vis person add`, or say --yes to create them with this file"
            )
        agree("apply these changes?")
    with here.control() as act:
        done = identities.apply_file(act, content, start, plan.changes)
    click.echo(f"{len(done.moved)} agents changed from {done.valid_from:%Y-%m-%d %H:%M} UTC on")


@identity_command.command(
    "list",
    epilog="""\b
Example: vis identity list
  vis identity list --at 2026-10-31 --json""",
)
@click.option(
    "--at", "day", type=_DAY, help="As it was, or will be, at the end of this day; now when left out."
)
@installation
@as_json
def _list(here: Installation, *, day: datetime | None, in_json: bool) -> None:
    """List agents with their owner, person, team, cost center and GL code."""
    at = day and day.replace(tzinfo=UTC) + timedelta(days=1, microseconds=-1)
    with here.control() as act:
        from visionality.web.policy import identities

        found = identities.identities(act, at or act.now).values()
    for one in found:
        if in_json:
            show(one)
        else:
            parts = (one.agent_sub, one.owner, one.sso_sub, one.team, one.cost_center, one.gl_code)
            click.echo("  ".join(f"{part or '–':<18}" for part in parts).rstrip())


@identity_command.command(
    "set", epilog="Example: vis identity set alice@arctrade --team origination --from 2026-12-01"
)
@click.argument("sub")
@click.option("--owner", help="Whose it is, for people.")
@click.option("--person", "sso_sub", help="By the subject of the single sign-on; '' for none.")
@click.option("--team", help="By its key; '' for none.")
@click.option("--cost-center", help="Who pays; '' for the team's.")
@click.option("--gl-code", help="The general-ledger code where the project has none; '' for none.")
@_FROM
@installation
def _set(here: Installation, sub: str, *, first_day: datetime | None, **said: str | None) -> None:
    """Change what is said of an agent from a day on. Rows that exist stay as they are."""
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise click.UsageError("say what changes: --owner, --person, --team, --cost-center or --gl-code")
    with here.control() as act:
        from visionality.web.policy import identities

        done = identities.set_identity(act, sub, given, _utc(first_day))
    if not done.changes:
        click.echo(f"agent {sub} is so already: nothing changes")
    for line in done.changes:
        click.echo(f"{line}, from {done.valid_from:%Y-%m-%d %H:%M} UTC on")


def _utc(day: datetime | None) -> datetime | None:
    return day and day.replace(tzinfo=UTC)
