"""`vis org add|list|show|set|revoke-keys` and `vis org oidc set|show|remove`."""

import os

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.reason import reason_needed
from visionality.cli.secret import checked_secret, read_secret

org_command = click.Group("org", help="The organisations.")
_oidc = click.Group("oidc", help="The organisation's own sign-on: its OpenID Connect issuer.")
org_command.add_command(_oidc)


@org_command.command("add", epilog="Example: vis org add acme --name 'Acme Ltd'")
@click.argument("slug")
@click.option("--name", required=True, help="As people read it.")
@installation
def _add(here: Installation, slug: str, *, name: str) -> None:
    """Add an organisation. Its commands take --org SLUG, and nothing of it is seen from another one."""
    with here.control() as act:
        from visionality.web.policy.organisation import add_organisation

        made = add_organisation(act, slug, name)
    click.echo(f"organisation {made.slug} is there: `vis login --org {made.slug}` opens its pages")


@org_command.command("list", epilog="Example: vis org list --json")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List the organisations of this installation."""
    with here.control():
        from visionality.web.policy.organisation import organisations

        records = [{"slug": one.slug, "name": one.name} for one in organisations()]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(f"{record['slug']:<28} {record['name']}")


@_oidc.command(
    "set",
    epilog="Example: vis org oidc set --title Okta --issuer https://acme.okta.com --client-id 0oa1 --secret-env OIDC_SECRET",
)
@click.option("--title", required=True, help="The name on its button.")
@click.option("--issuer", required=True, help="Exactly as the issuer calls itself.")
@click.option("--client-id", required=True)
@click.option(
    "--secret-env",
    help="The environment variable with the client secret; else it is read from standard input.",
)
@click.option("--domain", "domains", multiple=True, help="An e-mail domain that is led to it; once for each.")
@click.option(
    "--joins-as",
    multiple=True,
    type=click.Choice(["finance", "people", "projects", "security", "auditor", "operator"]),
    help="As what people of these domains join without an invitation; nobody does without it.",
)
@click.option("--only", is_flag=True, help="Passwords and passkeys no longer open this organisation.")
@installation
def _oidc_set(
    here: Installation,
    *,
    title: str,
    issuer: str,
    client_id: str,
    secret_env: str | None,
    domains: tuple[str, ...],
    joins_as: tuple[str, ...],
    only: bool,
) -> None:
    """Let members come in by an OpenID Connect issuer. Register the printed address with it as the redirect URI."""
    if secret_env is None:
        secret = read_secret("Client secret")
    else:
        secret = checked_secret(os.environ.get(secret_env, ""))
    keys, web = here.keys(), here.web_url()
    with here.control() as act:
        from visionality.web.accounts.sign_on import Wanted, callback_path, set_sign_on

        wanted = Wanted(title, issuer, client_id, secret.decode(), domains, joins_as, only)
        set_sign_on(act, keys, wanted)
        callback = callback_path(act.org_id)
    click.echo(f"{web}{callback}")


@_oidc.command("show", epilog="Example: vis org oidc show")
@installation
@as_json
def _oidc_show(here: Installation, *, in_json: bool) -> None:
    """Print the organisation's sign-on, without its secret."""
    with here.control() as act:
        from visionality.web.accounts.sign_on import shown

        record = shown(act)
    if in_json:
        show(record)
        return
    for name, value in record.items():
        click.echo(f"{name:<15} {value or 'none'}")


@_oidc.command("remove", epilog="Example: vis org oidc remove")
@installation
def _oidc_remove(here: Installation) -> None:
    """Remove the organisation's sign-on; members with a password or passkey still come in."""
    with here.control() as act:
        from visionality.web.accounts.sign_on import remove_sign_on

        remove_sign_on(act)
    click.echo("the sign-on is removed")


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
