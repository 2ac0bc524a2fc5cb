"""`vis map apply|show|history`."""

from collections.abc import Iterable
from typing import BinaryIO

import click

from visionality.cli.agreement import agree
from visionality.cli.installation import Installation, as_json, installation, report, show

map_command = click.Group("map", help="The mapping file: which repo is whose project and end customer.")


@map_command.command(
    "apply",
    epilog="""\b
Example: vis map apply map.yaml
  vis map apply map.yaml --yes""",
)
@click.argument("file", type=click.File("rb"))
@click.option("--yes", is_flag=True, help="Do not ask, and create projects that are not there yet.")
@installation
def _apply(here: Installation, file: BinaryIO, *, yes: bool) -> None:
    """Make the map say what FILE says, after it was checked whole and its changes were shown.

    Repos, aliases and task classes that the file does not name are taken out of the map. Projects are never taken away.
    """
    from visionality.core.mapping_file import LARGEST

    content = file.read(LARGEST + 1)
    with here.control() as act:
        from visionality.web.policy import mapping

        plan = mapping.plan(act, content)
    if plan.is_in_force and not plan.changes:
        click.echo("this file is in force already: nothing changes")
        return
    for line in plan.changes or [
        "no project, alias, repo or task class changes: only the text of the file does"
    ]:
        click.echo(line)
    if not yes:
        _agree(plan.new_projects)
    with here.control() as act:
        made = mapping.apply(act, content, plan.changes)
    click.echo(f"version {made.version} of the map is in force; sha256 {made.sha256.hex()}")


@map_command.command("show", epilog="Example: vis map show > map.yaml")
@click.option("--version", type=click.IntRange(min=1), help="An earlier one; the one in force when left out.")
@installation
def _show(here: Installation, version: int | None) -> None:
    """Print a mapping file as it was applied."""
    with here.control() as act:
        from visionality.web.policy import mapping

        found = mapping.applied(act, version)
    click.echo(bytes(found.content), nl=False)
    report(f"version {found.version}, applied {found.applied_at:%Y-%m-%d %H:%M} UTC by {found.applied_by}")


@map_command.command("history", epilog="Example: vis map history --json")
@installation
@as_json
def _history(here: Installation, *, in_json: bool) -> None:
    """List the mapping files that were applied, the newest first."""
    with here.control() as act:
        from visionality.web.policy import mapping

        found = mapping.history(act)
    for one in found:
        sha256 = bytes(one.sha256).hex()
        if in_json:
            show(
                {
                    "version": one.version,
                    "applied_at": one.applied_at,
                    "applied_by": one.applied_by,
                    "sha256": sha256,
                }
            )
        else:
            click.echo(f"{one.version:<4} {one.applied_at:%Y-%m-%d %H:%M}  {one.applied_by:<20} {sha256}")


def _agree(new_projects: Iterable[str]) -> None:
    """Ask the person at the terminal. Raises click.ClickException when there is no yes."""
    if missing := ", ".join(new_projects):
        raise click.ClickException(
            f"nothing was applied, since projects are not there: {missing}. Add them with `vis project add`, or say --yes "
            "to create them with this file"
        )
    agree("apply these changes?")
