"""`vis org show|set|revoke-keys`."""

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.reason import reason_needed

org_command = click.Group("org", help="The organisation.")


@org_command.command("show", epilog="Example: vis org show")
@installation
@as_json
def _show(here: Installation, *, in_json: bool) -> None:
    """Print the organisation's slug, name and time zone."""
    with here.control() as act:
        from visionality.web.policy.organisation import organisation

        found = organisation(act)
    record = {"slug": found.slug, "name": found.name, "time_zone": found.time_zone}
    if in_json:
        show(record)
        return
    for name, value in record.items():
        click.echo(f"{name:<12} {value}")


@org_command.command("set", epilog="Example: vis org set --time-zone Europe/Berlin")
@click.option(
    "--time-zone", required=True, help="An IANA name. Days, weeks, months and quarters begin by it."
)
@installation
def _set(here: Installation, time_zone: str) -> None:
    """Set the time zone of the organisation's calendar.

    Its budgets begin again with what their rows cost since their periods began there; calls in flight are not in it.
    """
    with here.control() as act:
        from visionality.web.policy.organisation import set_time_zone

        begun = set_time_zone(act, time_zone)
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
