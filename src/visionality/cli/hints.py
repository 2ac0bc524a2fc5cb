"""`vis hint add|list|remove`."""

import click

from visionality.cli.installation import Installation, installation, report
from visionality.cli.listing import add_list

hint_command = click.Group("hint", help="Model hints: another model than the one asked for.")


class Selector(click.ParamType[str]):
    """A name of at most so many printable characters."""

    name = "NAME"

    def __init__(self, longest: int) -> None:
        self._longest = longest

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if len(text) > self._longest or not text.isprintable() or text != text.strip():
            self.fail(f"{text!r}: expected at most {self._longest} printable characters", param, ctx)
        return text


@hint_command.command(
    "add",
    epilog="""\b
Example: vis hint add --agent derek@arctrade --task-class refactor --prefer claude-haiku-4-5
  vis hint add --project SOCE --instead-of claude-opus --prefer claude-sonnet-4-6""",
)
@click.option("--agent", type=Selector(255), default="", help="Only calls of this agent.")
@click.option("--project", type=Selector(80), default="", help="Only calls for this project.")
@click.option("--task-class", type=Selector(40), default="", help="Only calls of this kind of work.")
@click.option(
    "--instead-of",
    type=Selector(200),
    default="",
    help="Only calls that ask for this model, or for one of this family.",
)
@click.option("--prefer", type=Selector(200), required=True, help="The model that they get.")
@installation
def _add(here: Installation, *, prefer: str, **selectors: str) -> None:
    """Let calls have another model than they ask for; the row shows both. The most specific hint decides.

    What is left out is any. An earlier hint for the same calls is retired.
    """
    if not prefer:
        raise click.UsageError("--prefer: expected the name of a model")
    with here.control() as act:
        from visionality.web.policy.hints import Selectors, add_hint, calls_of

        calls = Selectors(**selectors)
        hint, warnings = add_hint(act, calls, prefer)
    for warning in warnings:
        report(f"warning: {warning}")
    click.echo(f"{calls_of(calls)} now get {prefer}; hint {hint.id}")


@hint_command.command("remove", epilog="Example: vis hint remove 0193…")
@click.argument("hint_id")
@installation
def _remove(here: Installation, hint_id: str) -> None:
    """Retire a hint; `vis hint list` shows its id."""
    with here.control() as act:
        from visionality.web.policy.hints import remove_hint

        hint = remove_hint(act, hint_id)
    click.echo(f"{hint.prefer} is preferred no more by hint {hint.id}")


add_list(hint_command, "hint")
