"""What Git hosts said: repositories, branches and pull requests. `repository_id` is the host's own id of one."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.connecting.models.connectors import Connector


class TrackedRepository(models.Model):
    """A repository."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT)
    external_id = models.TextField()
    remote = models.TextField()
    """As core/remote.py has it."""
    former_remotes = ArrayField(models.TextField())
    """Those that it had before it was renamed."""
    name = models.TextField()
    default_branch = models.TextField(null=True)  # noqa: DJ001 -- none is not an empty one
    project_key = models.TextField(null=True)  # noqa: DJ001
    seen_run = models.IntegerField()
    """The number of the last run that made it, or of the last full one that named it."""
    gone_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "tracked_repository"
        constraints = (
            models.UniqueConstraint(
                fields=["connector", "external_id"], name="tracked_repository_external_id"
            ),
        )

    def __str__(self) -> str:
        return self.remote


class TrackedBranch(models.Model):
    """A branch, since we first saw it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT)
    repository_id = models.TextField()
    name = models.TextField()
    head = models.TextField()
    first_seen = models.DateTimeField()
    seen_run = models.IntegerField()
    gone_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "tracked_branch"
        constraints = (
            models.UniqueConstraint(
                fields=["connector", "repository_id", "name"], name="tracked_branch_name"
            ),
        )

    def __str__(self) -> str:
        return self.name


class PullRequest(models.Model):
    """A pull or merge request: open, merged or declined."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    connector = models.ForeignKey(Connector, on_delete=models.PROTECT)
    repository_id = models.TextField()
    number = models.IntegerField()
    title = models.TextField()
    state = models.TextField()
    author = models.TextField()
    source_branch = models.TextField()
    target_branch = models.TextField()
    merge_commit = models.TextField(null=True)  # noqa: DJ001 -- none is not an empty one
    url = models.TextField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    merged_at = models.DateTimeField(null=True)
    seen_run = models.IntegerField()
    gone_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "pull_request"
        constraints = (
            models.UniqueConstraint(
                fields=["connector", "repository_id", "number"], name="pull_request_number"
            ),
        )

    def __str__(self) -> str:
        return f"#{self.number} {self.title}"


class PullRequestCommit(models.Model):
    """A commit that a pull request has, or had before it was rewritten."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    pull_request = models.ForeignKey(PullRequest, on_delete=models.PROTECT)
    sha = models.TextField()

    class Meta:
        db_table = "pull_request_commit"
        constraints = (
            models.UniqueConstraint(fields=["pull_request", "sha"], name="pull_request_commit_sha"),
        )
        indexes = (models.Index(fields=["org", "sha"], name="pull_request_commit_by_sha"),)

    def __str__(self) -> str:
        return self.sha
