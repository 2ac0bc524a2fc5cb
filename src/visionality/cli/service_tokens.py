"""`vis service-token issue|list|revoke`."""

from datetime import timedelta

import click

from visionality.cli.duration import Duration
from visionality.cli.installation import Installation, as_json, installation, report, show
from visionality.cli.reason import reason_needed
from visionality.core.service_token import SCOPES

service_token_command = click.Group(
    "service-token", help="Service tokens: how programs of yours speak to the control plane."
)


@service_token_command.command(
    "issue",
    epilog="Example: vis service-token issue --scope identities:write --expires 90d --reason 'the HR feed'",
)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(SCOPES)),
    multiple=True,
    required=True,
    help="What it may do (docs/reference/api.md); who may write may read. Repeatable.",
)
@click.option(
    "--expires", type=Duration(), default="90d", show_default=True, help="How long it works, 366d at most."
)
@reason_needed
@installation
@as_json
def _issue(
    here: Installation, *, scopes: tuple[str, ...], expires: timedelta, reason: str, in_json: bool
) -> None:
    """Print a new token. It is shown now and never again."""
    from visionality.vault.purposes import SERVICE_TOKENS

    pepper = here.keys().secret(SERVICE_TOKENS)
    with here.control() as act:
        from visionality.web.issuing.service_tokens import issue

        made, token = issue(act, pepper, scopes, expires, reason)
    if in_json:
        show({"id": made.id, "token": token, "scopes": made.scopes, "expires_at": made.expires_at})
        return
    click.echo(token)
    report(
        f"service token {made.id} works until {made.expires_at:%Y-%m-%d %H:%M} UTC; keep it: it is not shown again"
    )


@service_token_command.command("list", epilog="Example: vis service-token list --json")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List the service tokens, the newest first, without their secrets."""
    with here.control() as act:
        from visionality.web.issuing.service_tokens import service_tokens, state

        records = [
            {
                "id": one.id,
                "state": state(one, act.now),
                "shown": one.shown,
                "scopes": one.scopes,
                "issued_at": one.issued_at,
                "issued_by": one.issued_by,
                "expires_at": one.expires_at,
            }
            for one in service_tokens(act)
        ]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(
                f"{record['id']}  {record['state']:<8} {record['expires_at']:%Y-%m-%d}  "
                f"{' '.join(record['scopes'])}  {record['shown']}…"
            )


@service_token_command.command(
    "revoke",
    epilog="Example: vis service-token revoke 01991d3a-0000-7000-8000-000000000000 --reason 'it leaked'",
)
@click.argument("token_id")
@reason_needed
@installation
def _revoke(here: Installation, token_id: str, *, reason: str) -> None:
    """End a service token by its id, at once."""
    with here.control() as act:
        from visionality.web.issuing.service_tokens import revoke

        ended = revoke(act, token_id, reason)
    click.echo(f"service token {ended.id} is revoked")
