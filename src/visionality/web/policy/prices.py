"""An organisation's own prices."""

from decimal import Decimal

from visionality.pricebook.book import Override
from visionality.web.policy.acts import Act
from visionality.web.policy.models import PriceOverride


def access_prices(act: Act) -> list[PriceOverride]:
    """In the order of their versions."""
    return list(PriceOverride.objects.filter(org_id=act.org_id).order_by("version"))


def access_overrides(act: Act) -> list[Override]:
    """The same for the price book."""
    return [
        Override(
            one.version,
            one.provider,
            one.model,
            {bucket: Decimal(rate) for bucket, rate in one.rates.items()},
            one.effective_from,
            one.source,
        )
        for one in access_prices(act)
    ]
