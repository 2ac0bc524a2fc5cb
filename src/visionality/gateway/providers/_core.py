"""Where calls go. A provider knows addresses, how its key is sent, and which of its routes are metered."""

from dataclasses import dataclass
from typing import Literal

from visionality.gateway.dialects import Dialect

Kind = Literal["model_call", "free", "catalogue"]
"""A model call is metered and priced; a free call costs nothing by its vendor's word; a catalogue names no model."""


@dataclass(frozen=True, slots=True)
class Route:
    """One metered route: `path` as the vendor's SDK sends it, `suffix` behind the provider's base address.

    `{id}` in both stands for one segment; `{model}` too, and the segment names the model; `{model_id}` is a model's
    name or ARN that may be percent-encoded. What came goes on as it came.
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
    """Empty for one that stands at no fixed address."""
    key_header: bytes
    key_prefix: bytes
    routes: tuple[Route, ...]
    prices: str = ""
    """Whose price list applies; the provider's own where nothing is said."""
    sandbox_suffix: str = ""
    """What stands between the sandbox's address and a route's suffix."""
    states_cost: bool = False
    """Whether the cost in its answers is the money that it bills, and not our sum."""

    @property
    def price_list(self) -> str:
        return self.prices or self.name

    def credential(self, secret: bytes) -> tuple[bytes, bytes]:
        return self.key_header, self.key_prefix + secret
