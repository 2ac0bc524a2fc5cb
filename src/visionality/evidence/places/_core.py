"""What every place that keeps heads can do, and which places the operator named."""

from typing import Protocol

from visionality.core.proven_head import ProvenHead


class NotKept(Exception):
    """A head could not be kept or read there now; the message says why."""


class Place(Protocol):
    """Heads are kept by their log's origin, `<installation>/<organisation>/<log>`, and never taken back."""

    @property
    def name(self) -> str:
        """As the operator gave it."""

    def newest(self, origin: str) -> ProvenHead | None:
        """The newest head that is kept there. Raises NotKept, BadHead."""

    def keep(self, origin: str, head: ProvenHead) -> None:
        """Keep one more, whole or not at all. Raises NotKept."""
