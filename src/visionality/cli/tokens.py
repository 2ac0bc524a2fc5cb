"""`vis token inspect|keys|root-key|revoke`."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click
import msgspec

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.reason import reason_needed
from visionality.runtime.clock import utc_now

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from visionality.core.inspection import Inspection

token_command = click.Group("token", help="Envelopes and spend tokens: check them, publish keys, revoke.")

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SEED_BYTES = 32
_STANDARD_INPUT = "-"


class PublicKey(click.ParamType[bytes]):
    """The 32 bytes of an Ed25519 public key in base64url."""

    name = "PUBLICKEY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        from visionality.core.key_document import bytes_of

        try:
            return bytes_of(str(value))
        except ValueError:
            self.fail("expected the 32 bytes of an Ed25519 public key in base64url", param, ctx)


@token_command.command(
    "inspect",
    epilog="""\b
Example: vis token inspect vis2_live_… --keys keys.json
  vis token inspect - --keys keys.json --root Hn4Wf… < token.txt""",
)
@click.argument("token")
@click.option("--keys", type=_FILE, required=True, help="The published key document: `vis token keys`.")
@click.option("--root", type=PublicKey(), help="Who must have signed the document: `vis token root-key`.")
@as_json
def _inspect(token: str, *, keys: Path, root: bytes | None, in_json: bool) -> None:
    """Check an envelope or a spend token, with no server and no installation, and print its claims.

    Exits 0 when its checksum, signature and times hold, else 1. What was revoked looks valid here: that only a gateway
    knows. The token itself is not printed. With - it is read from standard input.
    """
    from visionality.core.inspection import inspect
    from visionality.core.key_document import check_root, read

    document = read(keys.read_bytes())
    if root is not None:
        check_root(document, root)
    text = sys.stdin.read().strip() if token == _STANDARD_INPUT else token
    found = inspect(text, document, utc_now())
    trust = "signed by the root" if root is not None else "taken as they are, since no --root was named"
    if in_json:
        show({"valid": found.is_valid, **msgspec.structs.asdict(found), "keys": trust})
    else:
        _print(text, found, trust)
    sys.exit(0 if found.is_valid else 1)


@token_command.command("keys", epilog="Example: vis token keys --root-key root.key > keys.json")
@click.option("--root-key", type=_FILE, help="Sign the document with this offline root.")
@installation
def _keys(here: Installation, root_key: Path | None) -> None:
    """Print the key document: all that is needed to check tokens offline. Publish it again after each change of keys."""
    from visionality.core.key_document import signed, written

    with here.control() as act:
        from visionality.web.issuing.signing_keys import published

        document = published(act)
    if root_key is not None:
        document = signed(document, _root(root_key))
    click.echo(written(document).decode())


@token_command.command("root-key", epilog="Example: vis token root-key root.key")
@click.argument("file", type=click.Path(path_type=Path))
def _root_key(file: Path) -> None:
    """Make the root that signs key documents, in FILE (0600), and print its public key.

    Keep the file away from the installation, and give the public key to whoever checks tokens.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from visionality.core.key_document import spelled

    root = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be made: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as made:
        made.write(spelled(root.private_bytes_raw()).encode() + b"\n")
    click.echo(spelled(root.public_key().public_bytes_raw()))


@token_command.command("revoke", epilog="Example: vis token revoke 0193… --reason 'printed in a log'")
@click.argument("jti", type=click.UUID)
@click.option(
    "--until",
    type=click.DateTime(),
    help="When it would have expired, in UTC.  [90 days from now, the latest]",
)
@reason_needed
@installation
def _revoke(here: Installation, jti: UUID, *, until: datetime | None, reason: str) -> None:
    """Revoke one minted token by its id; every gateway refuses it within two seconds."""
    with here.control() as act:
        from visionality.web.issuing.revocation import revoke_token
        from visionality.web.issuing.signing_keys import LONGEST_LIFE

        ends = act.now + LONGEST_LIFE if until is None else until.replace(tzinfo=UTC)
        revoke_token(act, jti, ends, reason)
    click.echo(f"token {jti} is revoked")


def _root(file: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from visionality.core.key_document import bytes_of

    try:
        return Ed25519PrivateKey.from_private_bytes(bytes_of(file.read_text("ascii").strip()))
    except (ValueError, OSError):
        raise click.ClickException(
            f"{file} holds no root: expected {_SEED_BYTES} bytes in base64url, as `vis token root-key` makes them"
        ) from None


def _print(text: str, found: "Inspection", trust: str) -> None:
    from visionality.core.spend_token import display

    if found.claims is not None:
        click.echo(f"token      {display(text, found.claims.jti)}")
    for name in ("checksum", "signature", "times"):
        click.echo(f"{name:<10} {getattr(found, name)}")
    click.echo(f"keys       {trust}")
    said = msgspec.to_builtins(found.claims) if found.claims is not None else {}
    for name, value in said.items():
        click.echo(f"  {name:<5} {_told(name, value)}")


def _told(name: str, value: object) -> str:
    """A claim in JSON, so that nothing in it acts on a terminal; a moment as a date too."""
    spelled = msgspec.json.encode(value).decode()
    shown = spelled.encode("ascii", "backslashreplace").decode()
    if name in {"iat", "nbf", "exp"} and isinstance(value, int):
        return f"{shown}  ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
    return shown
