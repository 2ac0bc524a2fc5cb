"""`vis signing-key list|rotate|revoke`."""

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.reason import reason_needed

signing_key_command = click.Group(
    "signing-key", help="Signing keys: what envelopes and tokens are signed with."
)


@signing_key_command.command("list", epilog="Example: vis signing-key list --json")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List signing keys, the newest first. `vis token keys` publishes them."""
    with here.control() as act:
        from visionality.web.issuing import signing_keys

        records = [
            {
                "id": key.id,
                "kid": signing_keys.kid(key),
                "state": signing_keys.state(key),
                "made_at": key.made_at,
                "verify_until": key.verify_until,
            }
            for key in signing_keys.everything(act)
        ]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(f"{record['id']}  {record['kid']}  {record['state']:<9} {record['made_at']:%Y-%m-%d}")


@signing_key_command.command("rotate", epilog="Example: vis signing-key rotate --reason quarterly")
@reason_needed
@installation
def _rotate(here: Installation, reason: str) -> None:
    """Sign with a new key from now on; what the old one signed is believed for 90 days, the longest that it can live."""
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import signing_keys

        made = signing_keys.rotate(act, keys, reason)
    click.echo(
        f"signing key {made.id} ({signing_keys.kid(made)}) signs from now on: publish `vis token keys` again"
    )


@signing_key_command.command(
    "revoke", epilog="Example: vis signing-key revoke 0193… --reason 'seed was seen'"
)
@click.argument("signing_key_id")
@reason_needed
@installation
def _revoke(here: Installation, signing_key_id: str, reason: str) -> None:
    """Believe nothing any more that a key signed. Handles go on; envelopes under it must be issued again."""
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import signing_keys

        key = signing_keys.revoke(act, keys, signing_key_id, reason)
    click.echo(f"signing key {key.id} ({signing_keys.kid(key)}) is revoked: publish `vis token keys` again")
