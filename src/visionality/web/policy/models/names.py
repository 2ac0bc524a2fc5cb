"""What spend is charged to and who spends it: the names that a row takes from here."""

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
        constraints = (models.UniqueConstraint(fields=["org", "key"], name="end_customer_key"),)

    def __str__(self) -> str:
        return self.key


class Team(models.Model):
    """A team and the cost center that pays for it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    key = models.CharField(max_length=80)
    name = models.CharField(max_length=200)
    cost_center = models.CharField(max_length=80, blank=True)
    business_unit = models.CharField(max_length=80, blank=True, default="", db_default="")
    """Of its rows where their project has none."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "team"
        constraints = (models.UniqueConstraint(fields=["org", "key"], name="team_key"),)

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
    business_unit = models.CharField(max_length=80, blank=True, default="", db_default="")
    passthrough = models.JSONField(default=dict, db_default={})
    """The providers to which its keys may pass calls without a meter, each with the US dollars of a request or None."""
    level_floor = models.SmallIntegerField(default=0, db_default=0)
    """The least that every key of it must show (core/level.py)."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "project"
        constraints = (models.UniqueConstraint(fields=["org", "key"], name="project_key"),)

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
        constraints = (models.UniqueConstraint(fields=["org", "sub"], name="agent_identity_sub"),)

    def __str__(self) -> str:
        return self.sub
