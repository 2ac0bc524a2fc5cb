"""`vis service add|list` and `vis binding-key create|rotate|revoke|list`."""

from datetime import timedelta

import click

from visionality.cli.duration import Duration
from visionality.cli.installation import Installation, as_json, installation, report, show
from visionality.cli.reason import reason_needed, reason_welcome

service_command = click.Group("service", help="Services: your backends that hold binding keys in memory.")
binding_key_command = click.Group("binding-key", help="Binding keys: the second factor of a service's keys.")


class X25519Key(click.ParamType[bytes]):
    """The 32 bytes of a public key in base64url."""

    name = "BASE64URL"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        from visionality.core.key_document import bytes_of

        try:
            return bytes_of(str(value).rstrip("="))
        except ValueError:
            self.fail("expected the 32 bytes of an X25519 public key in base64url", param, ctx)


@service_command.command(
    "add", epilog="Example: vis service add checkout-api --x25519 hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"
)
@click.argument("name")
@click.option("--x25519", type=X25519Key(), required=True, help="Its public key, which is never replaced.")
@reason_welcome
@installation
def _add(here: Installation, name: str, *, x25519: bytes, reason: str) -> None:
    """Register a backend with the public key that its binding keys are sealed to.

    The backend makes the pair and keeps the private half. A lost one is a new service under a new name.
    """
    with here.control() as act:
        from visionality.web.issuing.services import add_service

        made = add_service(act, name, x25519, reason)
    click.echo(f"service {made.key} is registered")


@service_command.command("list", epilog="Example: vis service list --json")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List the services and their public keys."""
    from visionality.core.key_document import spelled

    with here.control() as act:
        from visionality.web.issuing.services import services

        records = [
            {
                "id": one.id,
                "name": one.key,
                "x25519": spelled(bytes(one.x25519)),
                "registered_at": one.registered_at,
                "registered_by": one.registered_by,
            }
            for one in services(act)
        ]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(
                f"{record['name']:<28} {record['x25519']}  {record['registered_at']:%Y-%m-%d} by {record['registered_by']}"
            )


@binding_key_command.command("create", epilog="Example: vis binding-key create checkout-api > sealed.json")
@click.argument("service")
@reason_welcome
@installation
def _create(here: Installation, service: str, reason: str) -> None:
    """Make a binding key and print it sealed to its service; nobody else can open it.

    Give the line to the service as it is: it is no secret.
    """
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import binding_keys

        sealed = binding_keys.create(act, keys, service, reason)
    show(sealed)
    report(f"binding key {sealed.key_id} of {service}: envelopes from now on are bound to it")


@binding_key_command.command(
    "rotate",
    epilog="Example: vis binding-key rotate checkout-api --overlap 24h --reason quarterly > sealed.json",
)
@click.argument("service")
@click.option(
    "--overlap",
    type=Duration(),
    default="24h",
    show_default=True,
    help="How long the old ones go on: at most 7d.",
)
@reason_needed
@installation
def _rotate(here: Installation, service: str, *, overlap: timedelta, reason: str) -> None:
    """Make a new binding key and print it sealed to its service; its others end when the overlap does."""
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import binding_keys

        sealed = binding_keys.rotate(act, keys, service, overlap, reason)
    show(sealed)
    report(f"binding key {sealed.key_id} of {service}: envelopes from now on are bound to it")


@binding_key_command.command(
    "revoke", epilog="Example: vis binding-key revoke 0193… --reason 'host was taken over'"
)
@click.argument("binding_key_id")
@reason_needed
@installation
def _revoke(here: Installation, binding_key_id: str, reason: str) -> None:
    """Revoke a binding key; within two seconds it proves nothing on any gateway."""
    with here.control() as act:
        from visionality.web.issuing import binding_keys

        key = binding_keys.revoke(act, binding_key_id, reason)
    click.echo(f"binding key {key.id} of {key.service.key} is revoked")


@binding_key_command.command("list", epilog="Example: vis binding-key list --json")
@installation
@as_json
def _binding_keys(here: Installation, *, in_json: bool) -> None:
    """List binding keys by their ids and thumbprints; the keys themselves are never shown."""
    with here.control() as act:
        from visionality.web.issuing import binding_keys

        records = [
            {
                "id": key.id,
                "service": key.service.key,
                "state": binding_keys.state(key, act.now),
                "thumbprint": bytes(key.thumbprint).hex(),
                "made_at": key.made_at,
                "retires_at": key.retires_at,
            }
            for key in binding_keys.everything(act)
        ]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(
                f"{record['id']}  {record['service']:<28} {record['state']:<9} {record['thumbprint']:.16}…  "
                f"{record['made_at']:%Y-%m-%d}"
            )
