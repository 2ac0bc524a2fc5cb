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
SESSION_CONTENTS = "web session contents"
"""The key that what a session holds is sealed under."""
SECOND_FACTORS = "second factors"
"""The key that secrets of authenticator apps and recovery codes are sealed under: they belong to a person, not to an organisation."""
EVIDENCE_KEYS = "evidence keys"
"""The key that the private halves of keys which sign heads, packs and receipts are sealed under."""
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


def sign_on_context(org_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What the client secret of an organisation's sign-on is bound to when it is sealed."""
    return Context(str(org_id), str(org_id), str(kek_id), generation, "sign-on client secret")


def second_factor_context() -> Context:
    """What the secret of somebody's second factor is bound to when it is sealed."""
    return Context("installation", "accounts", "second factors", 1, "second factor")


def answer_context(org_id: UUID, request_id: UUID, kek_id: UUID, generation: int) -> Context:
    """What the kept answer to a write of the API is bound to when it is sealed."""
    return Context(str(org_id), str(request_id), str(kek_id), generation, "kept answer")


def session_context() -> Context:
    """What the contents of somebody's session are bound to when they are sealed."""
    return Context("installation", "sessions", "web session contents", 1, "session")


def evidence_context(org_id: UUID, key_id: UUID, role: str) -> Context:
    """What the private half of a key that signs evidence is bound to when it is sealed."""
    return Context(str(org_id), str(key_id), EVIDENCE_KEYS, 1, f"evidence key: {role}")
