"""What of an organisation's policy may be read, and by whom it is asked for."""

from uuid import UUID

from visionality.web.policy.models import ProviderCredential
from visionality.web.start import organisation_context


def access_provider_names(org_id: UUID) -> frozenset[str]:
    """The providers that this organisation has a live key of."""
    with organisation_context(org_id):
        live = ProviderCredential.objects.filter(org_id=org_id, retired_at=None)
        return frozenset(live.values_list("provider", flat=True))
