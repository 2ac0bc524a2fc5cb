"""Virtual keys: what a client holds instead of a provider's key."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.policy.models import AgentIdentity, EndCustomer, Project


class VirtualKey(models.Model):
    """A grant and its bindings. The handle itself is shown once; only its keyed hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    handle_hmac = models.BinaryField(max_length=32, unique=True)
    shown = models.CharField(max_length=12)
    agent = models.ForeignKey(AgentIdentity, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True)
    customer = models.ForeignKey(EndCustomer, on_delete=models.PROTECT, null=True)
    task_id = models.CharField(max_length=80, blank=True)
    task_class = models.CharField(max_length=40, blank=True)
    memo = models.CharField(max_length=200, blank=True)
    url = models.CharField(max_length=400, blank=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "virtual_key"

    def __str__(self) -> str:
        return f"{self.shown}… for {self.agent}"
