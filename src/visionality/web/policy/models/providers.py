"""Where calls go, the sealed keys that pay for them, and what they are charged."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation


class OrganisationKey(models.Model):
    """The organisation's key-encryption key, wrapped by the KeyProvider."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    generation = models.IntegerField()
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "organisation_key"
        constraints = (
            models.UniqueConstraint(fields=["org", "generation"], name="organisation_key_generation"),
        )

    def __str__(self) -> str:
        return f"generation {self.generation}"


class ProviderCredential(models.Model):
    """Where calls of a provider go, and the sealed key that pays for them. The newest one that is not retired counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    provider = models.CharField(max_length=60)
    base_url = models.CharField(max_length=400)
    sealed = models.BinaryField()
    organisation_key = models.ForeignKey(OrganisationKey, on_delete=models.PROTECT)
    on_abort = models.CharField(max_length=10, default="drain")
    options = models.JSONField(default=dict, db_default={})
    """What only this provider has: `models`, from an Azure deployment to its model."""
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "provider_credential"
        constraints = (
            models.UniqueConstraint(
                fields=["org", "provider"],
                condition=models.Q(retired_at=None),
                name="provider_credential_live",
            ),
        )

    def __str__(self) -> str:
        return self.provider


class PriceOverride(models.Model):
    """A dated price above the bundled snapshot. Append-only: changing a price appends a row.

    `rates` maps a usage bucket to USD per million units, as decimal strings.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    version = models.IntegerField()
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    rates = models.JSONField()
    effective_from = models.DateTimeField()
    source = models.CharField(max_length=200)
    content_hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "price_override"
        constraints = (models.UniqueConstraint(fields=["org", "version"], name="price_override_version"),)

    def __str__(self) -> str:
        return f"{self.provider} {self.model} v{self.version}"
