"""What trackers said: projects and issues."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.connecting.models.connectors import Connector


class TrackedProject(models.Model):
    """A project of a tracker."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT)
    external_id = models.TextField()
    key = models.TextField()
    name = models.TextField()
    seen_run = models.IntegerField()
    """The number of the last run that made it, or of the last full one that named it."""
    gone_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "tracked_project"
        constraints = (
            models.UniqueConstraint(fields=["connector", "external_id"], name="tracked_project_external_id"),
        )

    def __str__(self) -> str:
        return self.key


class TrackedIssue(models.Model):
    """An issue or epic."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT)
    external_id = models.TextField()
    key = models.TextField()
    former_keys = ArrayField(models.TextField())
    """Those that it had in other projects, the oldest first."""
    project_key = models.TextField()
    level = models.IntegerField()
    parent_key = models.TextField(null=True)  # noqa: DJ001 -- none is not an empty one
    epic_key = models.TextField(null=True)  # noqa: DJ001
    """Of itself or the nearest above it that is an epic, at most five parents up."""
    summary = models.TextField()
    status = models.TextField()
    is_done = models.BooleanField()
    updated_at = models.DateTimeField()
    seen_run = models.IntegerField()
    gone_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "tracked_issue"
        constraints = (
            models.UniqueConstraint(fields=["connector", "external_id"], name="tracked_issue_external_id"),
        )
        indexes = (models.Index(fields=["org", "key"], name="tracked_issue_key"),)

    def __str__(self) -> str:
        return self.key
