"""Lower floors that somebody asked for."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.policy.models.names import Project


class FloorRequest(models.Model):
    """One person asks for a lower floor of the organisation, or of a project; it holds once another one approves."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True)
    from_level = models.SmallIntegerField()
    to_level = models.SmallIntegerField()
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    approved = models.BooleanField(null=True)

    class Meta:
        db_table = "floor_request"

    def __str__(self) -> str:
        return f"{self.project or 'org'} from {self.from_level} to {self.to_level}"
