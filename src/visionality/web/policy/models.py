"""What an organisation decides. The gateway reads these tables only through the views of the registry."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation, Person


class EndCustomer(models.Model):
    """Whom the work is for, and who is billed in the end."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    key = models.CharField(max_length=80)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "end_customer"
        constraints = [models.UniqueConstraint(fields=["org", "key"], name="end_customer_key")]

    def __str__(self) -> str:
        return self.key


class Team(models.Model):
    """A team and the cost center that pays for it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    key = models.CharField(max_length=80)
    name = models.CharField(max_length=200)
    cost_center = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "team"
        constraints = [models.UniqueConstraint(fields=["org", "key"], name="team_key")]

    def __str__(self) -> str:
        return self.key


class Project(models.Model):
    """What spend is charged to; `key` is the `project_id` of the ledger."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    key = models.CharField(max_length=80)
    name = models.CharField(max_length=200)
    customer = models.ForeignKey(EndCustomer, on_delete=models.PROTECT, null=True)
    gl_code = models.CharField(max_length=80, blank=True)
    passthrough = models.JSONField(default=dict, db_default={})
    """The providers to which its keys may pass calls without a meter, each with the US dollars of a request or None."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "project"
        constraints = [models.UniqueConstraint(fields=["org", "key"], name="project_key")]

    def __str__(self) -> str:
        return self.key


class AgentIdentity(models.Model):
    """The identity table: `sub` (alice@arctrade) to its owner (Alice K.), team and person."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    sub = models.CharField(max_length=255)
    owner = models.CharField(max_length=200)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "agent_identity"
        constraints = [models.UniqueConstraint(fields=["org", "sub"], name="agent_identity_sub")]

    def __str__(self) -> str:
        return self.sub


class OrganisationKey(models.Model):
    """The organisation's key-encryption key, wrapped by the KeyProvider."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    generation = models.IntegerField()
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "organisation_key"
        constraints = [
            models.UniqueConstraint(fields=["org", "generation"], name="organisation_key_generation")
        ]

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
        constraints = [
            models.UniqueConstraint(
                fields=["org", "provider"],
                condition=models.Q(retired_at=None),
                name="provider_credential_live",
            )
        ]

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
        constraints = [models.UniqueConstraint(fields=["org", "version"], name="price_override_version")]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} v{self.version}"
