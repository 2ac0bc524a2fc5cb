"""Who calls, once the credential is known to be real: a grant, or the narrower one of a spend token."""

from typing import NamedTuple

import msgspec

from visionality.registry.snapshot import Grant


class Checkout(NamedTuple):
    """What a key was handed out for that a device's credential was exchanged for: what the helper read from git."""

    key_id: str
    """The exchanged key's own id."""
    repo: str | None
    branch: str | None
    commit: str | None


class Principal(msgspec.Struct, frozen=True):
    """What a credential stands for; whether it may be used now is still to be checked."""

    grant: Grant
    """What its rows say and what it may do: the key's own, narrowed by a spend token."""
    token_sha256: bytes
    """Of the credential as it was sent."""
    token_id: str | None = None
    """The spend token's, where it is one: what has a limit of its own."""
    thumbprint: str | None = None
    """The one binding key that it names; a handle goes with any live one of its service."""
    ended: str | None = None
    """Why the credential itself is over, whatever its grant allows: `revoked`, `expired` or `not_yet_valid`."""
    rotation: int = 0
    """Which rotation of its grant the credential is, or was made from."""
    checkout: Checkout | None = None
    """Of an exchanged key."""
