"""Which providers the simulated one answers for, so that nobody takes its answers for real ones."""

from uuid import UUID

from visionality.core.vendors import TITLES
from visionality.web.plane import plane
from visionality.web.policy.access import access_provider_names


def sandboxed(org_id: UUID) -> tuple[str, ...]:
    """The providers without a key, when the sandbox steps in for those."""
    if not plane().sandbox:
        return ()
    live = access_provider_names(org_id)
    return tuple(name for name in TITLES if name not in live)
