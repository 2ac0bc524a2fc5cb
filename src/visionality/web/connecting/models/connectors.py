"""A connection to a service, its secrets, and how far reading has come."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.policy.models import OrganisationKey


class Connector(models.Model):
    """A tracker or a Git host (`connectors.services.Target`)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=20)
    base_url = models.CharField(max_length=400, blank=True)
    scope = ArrayField(models.TextField())
    account = models.CharField(max_length=255, blank=True)
    ca_bundle = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    secret_expires_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField()

    class Meta:
        db_table = "connector"
        constraints = (
            models.UniqueConstraint(
                fields=["org", "name"], condition=models.Q(enabled=True), name="connector_name"
            ),
        )

    def __str__(self) -> str:
        return self.name


class ConnectorSecret(models.Model):
    """A sealed secret of a connector; the newest of its purpose counts. The control plane reads those of webhooks only."""

    CREDENTIAL = "credential"
    WEBHOOK = "webhook"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT)
    purpose = models.CharField(max_length=20)
    sealed = models.BinaryField()
    organisation_key = models.ForeignKey(OrganisationKey, on_delete=models.PROTECT)
    made_at = models.DateTimeField()

    class Meta:
        db_table = "connector_secret"

    def __str__(self) -> str:
        return f"{self.purpose} of {self.connector_id}"


class ConnectorRun(models.Model):
    """The run that goes on, or the last one, and when the next is due."""

    connector = models.OneToOneField(Connector, primary_key=True, on_delete=models.PROTECT)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    number = models.IntegerField(default=0)
    mode = models.CharField(max_length=20, blank=True)
    """`full` or `incremental`; empty before the first."""
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    """Null while it goes on, also when its process died."""
    doing = models.TextField(blank=True)
    counts = models.JSONField(default=dict)
    """What this run has been told so far, by kind."""
    held = models.JSONField(default=dict)
    """What is there since the last run, by kind."""
    error = models.TextField(blank=True)
    failures = models.IntegerField(default=0)
    """Runs that failed since one succeeded."""
    failing_since = models.DateTimeField(null=True)
    outages = models.IntegerField(default=0)
    """How often it began to fail; tells the alerts apart."""
    next_at = models.DateTimeField()
    is_paused = models.BooleanField(default=False)
    """Whether the service asked for a wait until `next_at`."""
    poked_at = models.DateTimeField(null=True)
    """When somebody, or a webhook, asked for a run that has not begun."""
    wants_full = models.BooleanField(default=False)
    watermark = models.DateTimeField(null=True)
    """When the last run that succeeded had begun."""
    full_at = models.DateTimeField(null=True)
    """When the last full run that succeeded had begun."""
    succeeded_at = models.DateTimeField(null=True)
    is_moved = models.BooleanField(default=False)
    """Whether an issue's keys, place or existence changed since `moves` was counted."""
    moves = models.BigIntegerField(default=0)

    class Meta:
        db_table = "connector_run"

    def __str__(self) -> str:
        return f"run {self.number} of {self.connector_id}"
