"""What the mapping file says (core/mapping_file.py): repos and aliases as they are now, and each file that was applied."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.policy.models.names import EndCustomer, Project


class MappedRepo(models.Model):
    """A repo and the project that its spend is charged to."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    repo = models.CharField(max_length=400)
    """A remote as core/remote.py has it; or a bare name, which is any remote that ends in it."""
    name = models.CharField(max_length=200)
    """The last segment, in lower case."""
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    customer = models.ForeignKey(EndCustomer, on_delete=models.PROTECT, null=True)
    """The project's when it is null."""
    default_epic = models.CharField(max_length=80, blank=True)
    branch_pattern = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "mapped_repo"
        constraints = (models.UniqueConstraint(fields=["org", "repo"], name="mapped_repo_repo"),)

    def __str__(self) -> str:
        return self.repo


class ProjectAlias(models.Model):
    """Another name of a project: CAISOQ3 of CAISO-Q3, which no branch can carry as an issue key."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    alias = models.CharField(max_length=80)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)

    class Meta:
        db_table = "project_alias"
        constraints = (models.UniqueConstraint(fields=["org", "alias"], name="project_alias_alias"),)

    def __str__(self) -> str:
        return f"{self.alias} of {self.project}"


class TaskClassRule(models.Model):
    """An operator's own rule for the task class (core/task_class_rules.py). What is empty holds always."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    number = models.IntegerField()
    """Its place in the file, from 1: the first rule that holds decides."""
    task_class = models.CharField(max_length=40)
    client = models.CharField(max_length=60, blank=True)
    tool = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=200, blank=True)
    system_starts = models.CharField(max_length=200, blank=True)
    headers = models.JSONField(default=dict)
    """The value that each of these must have."""

    class Meta:
        db_table = "task_class_rule"
        constraints = (models.UniqueConstraint(fields=["org", "number"], name="task_class_rule_number"),)

    def __str__(self) -> str:
        return f"rule {self.number}: {self.task_class}"


class MappingFile(models.Model):
    """A mapping file that was applied. Append-only; the highest version is in force."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    version = models.IntegerField()
    content = models.BinaryField()
    sha256 = models.BinaryField(max_length=32)
    applied_by = models.CharField(max_length=200)
    applied_at = models.DateTimeField()

    class Meta:
        db_table = "mapping_file"
        constraints = (models.UniqueConstraint(fields=["org", "version"], name="mapping_file_version"),)

    def __str__(self) -> str:
        return f"version {self.version}"
