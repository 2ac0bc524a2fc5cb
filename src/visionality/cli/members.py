"""`vis member invite|list|set|remove|password`."""

import click

from visionality.cli.installation import Installation, as_json, installation, report, show

member_command = click.Group("member", help="Members: who may sign in to the pages, and as what.")

_ROLES = ("operator", "finance", "people", "projects", "security", "auditor")
_roles = click.option(
    "--role", "roles", type=click.Choice(_ROLES), multiple=True, required=True, help="Once for each role."
)


@member_command.command("invite", epilog="Example: vis member invite dana@example.com --role finance")
@click.argument("email")
@_roles
@installation
def _invite(here: Installation, email: str, roles: tuple[str, ...]) -> None:
    """Print a link that makes somebody a member, once, within seven days. Hand it to them."""
    web = here.web_url()
    with here.control() as act:
        from visionality.web.accounts.membership import invite

        made, token = invite(act, email, roles)
    click.echo(f"{web}/join/{token}")
    report(f"{made.email} may join as {', '.join(made.roles)} until {made.expires_at:%Y-%m-%d %H:%M} UTC")


@member_command.command("list", epilog="Example: vis member list --json")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List the members, and those who were."""
    with here.control() as act:
        from visionality.web.accounts.access import access_members

        records = [
            {
                "email": one.user.email,
                "name": one.user.name,
                "roles": one.roles,
                "state": one.state,
                "sso_sub": one.sso_sub,
                "entered_at": one.entered_at,
            }
            for one in access_members(act)
        ]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(f"{record['email']:<36} {record['state']:<8} {' '.join(record['roles'])}")


@member_command.command(
    "set", epilog="Example: vis member set dana@example.com --role finance --role auditor"
)
@click.argument("email")
@_roles
@installation
def _set(here: Installation, email: str, roles: tuple[str, ...]) -> None:
    """Say what a member is from now on, in the sessions that they have too."""
    with here.control() as act:
        from visionality.web.accounts.membership import set_roles

        member = set_roles(act, email, roles)
    click.echo(f"{email} is {', '.join(member.roles)}")


@member_command.command("remove", epilog="Example: vis member remove dana@example.com")
@click.argument("email")
@installation
def _remove(here: Installation, email: str) -> None:
    """End a membership; with it their sessions see nothing of the organisation any more."""
    with here.control() as act:
        from visionality.web.accounts.membership import remove

        remove(act, email)
    click.echo(f"{email} is no member any more")


@member_command.command("password", epilog="Example: vis member password dana@example.com")
@click.argument("email")
@installation
def _password(here: Installation, email: str) -> None:
    """Print a link by which a member sets a new password, where this installation sends no mail."""
    web, keys = here.web_url(), here.keys()
    with here.control() as act:
        from visionality.vault.purposes import WEB_SESSIONS
        from visionality.web.accounts.forgotten import password_path

        path = password_path(act, email, keys.secret(WEB_SESSIONS).hex())
    click.echo(web + path)
    report("the link works once, and within a day")
