"""The question before something is applied."""

import click


def agree(question: str) -> None:
    """Go on if the person at the terminal says yes. Raises click.ClickException if not, or if nobody is there."""
    try:
        is_agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        raise click.ClickException("nothing was applied: say --yes where nobody can be asked") from None
    if not is_agreed:
        raise click.ClickException("nothing was applied")
