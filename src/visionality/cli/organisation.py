"""`vis org show|set|revoke-keys`."""

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.reason import reason_needed

org_command = click.Group("org", help="The organisation.")


@org_command.command("show", epilog="Example: vis org show")
@installation
@as_json
def _show(here: Installation, *, in_json: bool) -> None:
    """Print the organisation's slug, name, time zone and policies."""
    with here.control() as act:
        from visionality.web.policy.organisation import organisation

        found = organisation(act)
    names = ("slug", "name", "time_zone", "denied_project")
    record = {name: getattr(found, name) for name in names}
    if in_json:
        show(record)
        return
    for name, value in record.items():
        click.echo(f"{name:<15} {value}")


@org_command.command(
    "set",
    epilog="""\b
Example: vis org set --time-zone Europe/Berlin
  vis org set --denied-project refuse""",
)
@click.option("--time-zone", help="An IANA name. Days, weeks, months and quarters begin by it.")
@click.option(
    "--denied-project",
    type=click.Choice(["queue", "refuse"]),
    help="What becomes of a call that claims a project which its key may not claim.",
)
@installation
def _set(here: Installation, time_zone: str | None, denied_project: str | None) -> None:
    """Set the time zone of the organisation's calendar, or what becomes of denied projects.

    Under another time zone its budgets begin again with what their rows cost since their periods began there; calls in
    flight are not in it. A call whose key may not claim the project is served and its row waits in the queue, or it is
    refused.
    """
    if time_zone is None and denied_project is None:
        raise click.UsageError("say what changes: --time-zone or --denied-project")
    begun = 0
    with here.control() as act:
        from visionality.web.policy.organisation import set_denied_project, set_time_zone

        if time_zone is not None:
            begun = set_time_zone(act, time_zone)
        if denied_project is not None:
            set_denied_project(act, denied_project)
    if time_zone is not None:
        _tell_time_zone(time_zone, begun)
    if denied_project is not None:
        become = "refused" if denied_project == "refuse" else "served, and their rows wait in the queue"
        click.echo(f"calls that claim a project which their key may not claim are {become}")


def _tell_time_zone(time_zone: str, begun: int) -> None:
    budgets = f"; {begun} {'budget was' if begun == 1 else 'budgets were'} begun again" if begun else ""
    click.echo(f"periods begin in the time zone {time_zone}{budgets}")


@org_command.command("revoke-keys", epilog="Example: vis org revoke-keys --reason 'the vault was open' --yes")
@reason_needed
@click.option("--yes", is_flag=True, help="Say that you mean every key.")
@installation
def _revoke_keys(here: Installation, *, reason: str, yes: bool) -> None:
    """Revoke every key and token of the organisation at once; those issued after it work."""
    if not yes:
        raise click.UsageError("this ends every key and every token of the organisation: say --yes to do it")
    with here.control() as act:
        from visionality.web.issuing.revocation import revoke_all

        epoch = revoke_all(act, reason)
    click.echo(f"every key that was issued before now is revoked; epoch {epoch} begins")
