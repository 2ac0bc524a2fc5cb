"""Where calls go. A provider knows addresses, how its key is sent, and which of its routes are metered."""

from dataclasses import dataclass
from typing import Literal

from visionality.gateway.dialects import Dialect

Kind = Literal["model_call", "catalogue"]


@dataclass(frozen=True, slots=True)
class Route:
    """One metered route: `path` as the vendor's SDK sends it, `suffix` behind the provider's base address.

    A path that ends in `/*` takes one more segment. A catalogue is free and is passed on; a model call is metered.
    """

    method: str
    path: str
    suffix: str
    dialect: Dialect
    kind: Kind


@dataclass(frozen=True, slots=True)
class Provider:
    """A vendor: its public base address, the header and prefix of its key, and its routes."""

    name: str
    base_url: str
    key_header: bytes
    key_prefix: bytes
    routes: tuple[Route, ...]
    sandbox_suffix: str = ""
    """What stands between the sandbox's address and a route's suffix."""

    def credential(self, secret: bytes) -> tuple[bytes, bytes]:
        return self.key_header, self.key_prefix + secret
