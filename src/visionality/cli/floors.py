"""`vis floor show|set|approve|decline`."""

from uuid import UUID

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.scope import ScopeName
from visionality.core.level import LEVELS
from visionality.core.scope import ORGANISATION, Scope

floor_command = click.Group("floor", help="Floors: the least that every key must show.")


@floor_command.command("show", epilog="Example: vis floor show")
@installation
@as_json
def _show(here: Installation, *, in_json: bool) -> None:
    """Print the floor of the organisation and of its projects, and what waits for a second person."""
    with here.control() as act:
        from visionality.web.policy.floors import floors, scope_of, waiting

        records: list[dict[str, object]] = [
            {"scope": str(scope), "level": level} for scope, level in floors(act)
        ]
        requests: list[dict[str, object]] = [
            {
                "request": one.id,
                "scope": str(scope_of(one)),
                "from": one.from_level,
                "to": one.to_level,
                "requested_by": one.requested_by,
                "requested_at": one.requested_at,
            }
            for one in waiting(act)
        ]
    if in_json:
        for record in (*records, *requests):
            show(record)
        return
    for record in records:
        click.echo(f"{record['scope']:<28} L{record['level']}")
    for one in requests:
        click.echo(
            f"{one['scope']:<28} L{one['from']} → L{one['to']} waits for a second person: {one['requested_by']} asked, "
            f"`vis floor approve {one['request']}`"
        )


@floor_command.command("set", epilog="Example: vis floor set project:SHOP 3")
@click.argument("scope", type=ScopeName((ORGANISATION, "project")))
@click.argument("level", type=click.IntRange(LEVELS[0], LEVELS[-1]))
@installation
def _set(here: Installation, scope: Scope, level: int) -> None:
    """Raise a floor, at once; or ask for a lower one, which holds when another person approves it.

    SCOPE is org or project:KEY.
    """
    with here.control() as act:
        from visionality.web.policy.floors import set_floor

        asked = set_floor(act, scope, level)
    if asked is None:
        click.echo(f"every key of {scope} must show level {level} now")
    else:
        click.echo(
            f"the floor of {scope} stays {asked.from_level} until another person says `vis floor approve {asked.id}`"
        )


@floor_command.command("approve", epilog="Example: vis floor approve 0193…")
@click.argument("request_id", type=click.UUID)
@installation
def _approve(here: Installation, request_id: UUID) -> None:
    """Lower the floor that another person asked to lower. Nobody approves their own request."""
    with here.control() as act:
        from visionality.web.policy.floors import approve, scope_of

        asked = approve(act, request_id)
        scope = scope_of(asked)
    click.echo(f"the floor of {scope} is {asked.to_level} now; {asked.requested_by} asked for it")


@floor_command.command("decline", epilog="Example: vis floor decline 0193…")
@click.argument("request_id", type=click.UUID)
@installation
def _decline(here: Installation, request_id: UUID) -> None:
    """Leave a floor as it is. Whoever asked may take their request back so."""
    with here.control() as act:
        from visionality.web.policy.floors import decline, scope_of

        asked = decline(act, request_id)
        scope = scope_of(asked)
    click.echo(f"the floor of {scope} stays {asked.from_level}")
