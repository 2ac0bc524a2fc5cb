"""`vis login`: a link that signs the local operator in, once."""

import click

from visionality.cli.installation import Installation, actor, installation
from visionality.runtime.clock import utc_now


def make_link(here: Installation, web_url: str) -> str:
    """A fresh one-time link to the pages at this address."""
    import psycopg

    from visionality.web.accounts import links

    with psycopg.connect(here.access.dsn("vis_web")) as connection:
        return links.make_link(connection, here.org_in(connection), actor(), utc_now(), web_url)


@click.command(epilog="Example: vis login")
@installation
def login_command(here: Installation) -> None:
    """Print a link that signs you in to the pages, once, within 15 minutes."""
    click.echo(make_link(here, here.web_url()))
