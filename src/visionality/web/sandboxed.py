"""Which providers the simulated one answers for, so that nobody takes its answers for real ones."""

from uuid import UUID

from visionality.web.plane import plane
from visionality.web.policy.access import access_provider_names

PROVIDERS = {"anthropic": "Anthropic", "openai": "OpenAI"}
"""The gateway's providers and how they write themselves."""


def sandboxed(org_id: UUID) -> tuple[str, ...]:
    """The providers without a key, when the sandbox steps in for those."""
    if not plane().sandbox:
        return ()
    live = access_provider_names(org_id)
    return tuple(name for name in PROVIDERS if name not in live)
