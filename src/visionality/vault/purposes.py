"""What each secret of the installation is bound to, so that one can never stand in for another."""

from uuid import UUID

from visionality.vault.sealing import Context

HANDLE_PEPPER = "handle pepper"
"""The key under which handles of virtual keys are hashed at rest."""
AWS_PAIRS = "aws pairs"
"""The key from which the secret halves of AWS key pairs follow."""
SERVICE_TOKENS = "service tokens"
"""The key under which tokens of programs that speak to the control plane are hashed at rest."""
WEB_SESSIONS = "web sessions"
"""The key that signs the control plane's cookies."""
FINGERPRINT = "fingerprint"
"""What the database keeps, to tell whether this is the master key that its secrets need."""


def organisation_context(org_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What an organisation's key is bound to when it is wrapped."""
    return Context(str(org_id), str(kek_id), "master", generation, "organisation key")


def provider_context(org_id: UUID, credential_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What a provider's key is bound to when it is sealed."""
    return Context(str(org_id), str(credential_id), str(kek_id), generation, "provider credential")


def binding_context(org_id: UUID, binding_key_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What a binding key is bound to when it is sealed."""
    return Context(str(org_id), str(binding_key_id), str(kek_id), generation, "binding key")


def signing_context(org_id: UUID, signing_key_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What the seed of a key that signs tokens is bound to when it is sealed."""
    return Context(str(org_id), str(signing_key_id), str(kek_id), generation, "token signing key")


def installation_context(installation_id: UUID) -> Context:
    """What the installation's root is bound to when a key service wraps it."""
    return Context("installation", str(installation_id), "master", 1, "installation root")


def connector_context(org_id: UUID, connector_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What the credential of a connector is bound to when it is sealed."""
    return Context(str(org_id), str(connector_id), str(kek_id), generation, "connector credential")


def hook_context(org_id: UUID, connector_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What the secret of a connector's webhooks is bound to when it is sealed."""
    return Context(str(org_id), str(connector_id), str(kek_id), generation, "connector webhook secret")
