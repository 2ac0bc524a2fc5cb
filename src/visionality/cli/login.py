"""`vis login`: a link that signs the local operator in, once."""

import click

from visionality.cli.installation import Installation, installation


def make_link(here: Installation, web_url: str) -> str:
    """A fresh one-time link to the pages at this address."""
    with here.control() as act:
        from visionality.web.accounts.login import make_link as make

        return make(act.org_id, act.actor, act.now, web_url)


@click.command(epilog="Example: vis login")
@installation
def login_command(here: Installation) -> None:
    """Print a link that signs you in to the pages, once, within 15 minutes."""
    click.echo(make_link(here, here.addresses()["web"]))
