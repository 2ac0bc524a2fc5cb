"""`vis evidence keys`: the list that a verifier is given; and `rotate` and `revoke` below it."""

from typing import TYPE_CHECKING

import click

from visionality.cli.installation import Installation, installation
from visionality.cli.reason import reason_needed
from visionality.runtime.clock import utc_now

if TYPE_CHECKING:
    from visionality.evidence.keys import KeyRole

ROLES = ("log", "pack", "receipt")


@click.group("keys", invoke_without_command=True, epilog="Example: vis evidence keys > keys.json")
@installation
@click.pass_context
def keys_command(context: click.Context, here: Installation) -> None:
    """Print the public keys that heads, packs and receipts are signed with, as `vis-verify` takes them.

    Whoever gets the list compares its fingerprints with you on another path than the file's.
    """
    if context.invoked_subcommand is not None:
        return
    from visionality.evidence.keys import NoKeyYet, everything, published

    with here.reading() as (connection, org_id):
        if not everything(connection, org_id):
            raise NoKeyYet(
                f"no key signs for {here.org_slug} yet: the jobs process makes them within a second of its start"
            )
        click.echo(published(connection, org_id, utc_now()).decode())


@keys_command.command("rotate", epilog="Example: vis evidence keys rotate --role log --reason yearly")
@click.option(
    "--role", type=click.Choice(ROLES), required=True, help="What the key signs: heads, packs or receipts."
)
@reason_needed
@installation
def _rotate(here: Installation, role: "KeyRole", reason: str) -> None:
    """Sign with a new key within a second; what the one before signed stays believed."""
    with here.control() as act:
        from visionality.web.issuing import evidence_keys

        before = evidence_keys.rotate(act, role, reason)
    click.echo(
        f"the {role} key {before.fingerprint} is followed by a new one within a second: give `vis evidence keys` to whoever "
        "verifies"
    )


@keys_command.command("revoke", epilog="Example: vis evidence keys revoke 3fa9… --reason 'the host was lost'")
@click.argument("fingerprint")
@reason_needed
@installation
def _revoke(here: Installation, fingerprint: str, reason: str) -> None:
    """Believe nothing that a key ever signed. What stands is signed again as it grows; packs must be made again."""
    with here.control() as act:
        from visionality.web.issuing import evidence_keys

        key = evidence_keys.revoke(act, fingerprint, reason)
    click.echo(
        f"the {key.role} key {key.fingerprint} is revoked: give `vis evidence keys` to whoever verifies"
    )
