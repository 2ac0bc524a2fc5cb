"""The `list` of a command group: one record a line, in columns or as JSON."""

import click

from visionality.cli.installation import Installation, as_json, installation, show


def add_list(group: click.Group, kind: str) -> None:
    """Give a group its `list` of every object of a kind."""

    @group.command("list", epilog=f"Example: vis {kind} list --json", help=f"List every {kind}.")
    @installation
    @as_json
    def _list(here: Installation, *, in_json: bool) -> None:
        with here.control() as act:
            from visionality.web.policy import lists

            records = lists.records(act, kind)
        for record in records:
            if in_json:
                show(record)
            else:
                click.echo("  ".join(f"{_told(value):<18}" for value in record.values()).rstrip())


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_told(part)}" for name, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_told, value))
    return "–" if value is None else str(value)
