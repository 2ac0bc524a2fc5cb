"""Where calls go. A provider knows addresses, how its key is sent, and which of its routes are metered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from visionality.core.call import Headers
from visionality.gateway.dialects import Dialect


class Signer(Protocol):
    """Proves each request for itself, where one header for all of them is not enough."""

    @property
    def identity(self) -> bytes:
        """Whose requests these are: connections are shared by nobody else."""

    def headers(self, method: str, target: str, headers: Headers, body: bytes) -> Headers:
        """What a request with these headers carries in addition."""


Kind = Literal[
    "model_call",  # metered and priced
    "free",  # costs nothing by its vendor's word
    "catalogue",  # names no model
    "result",  # the answer of an earlier model call, which is charged then if it was still going on
    "batch",  # begins a batch, whose lines are priced one by one when it has ended (gateway/batches)
    "batch_state",  # how far a batch is
    "upload",  # a file for a batch
    "download",  # a file, or results; as large as it likes
    "passthrough",  # has no meter (gateway/passthrough.py)
]


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
    sends: Headers = ()
    """What its requests carry in place of the client's own headers of these names."""
    serves_deployments: bool = False
    """Whether the model of a request is the name of a deployment, which says nothing of the model."""
    cost_header: bytes = b""
    """The header of its answers that says a cost to compare ours with."""

    aliases: tuple[str, ...] = ()
    """Other names that its routes stand under."""
    key_parameters: frozenset[str] = frozenset()
    """The query parameters that may carry a key in its requests."""
    unsent_parameters: frozenset[str] = frozenset()
    """The query parameters that would make another call of a call, hide its usage, or have somebody else pay for it."""

    signer: Callable[[bytes, str], Signer | None] | None = None
    """Makes the signer of a key for a base address, where the key is of the kind that signs. Raises Refusal."""

    @property
    def price_list(self) -> str:
        return self.prices or self.name

    def model_of(self, name: str, models: Mapping[str, str]) -> str | None:
        """The model that a request means by a name; None for a deployment of which nobody has said what it runs."""
        return models.get(name, None if self.serves_deployments else name)

    def credential(self, secret: bytes) -> tuple[bytes, bytes]:
        return self.key_header, self.key_prefix + secret
