"""Rules by which a row is billed and allocated, and by which another model is chosen."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation


class Markup(models.Model):
    """What the cost of a customer's or a project's rows is multiplied with to be billed. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    scope_kind = models.CharField(max_length=20)
    scope_value = models.CharField(max_length=80)
    multiplier = models.DecimalField(max_digits=10, decimal_places=6)
    effective_from = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "markup"

    def __str__(self) -> str:
        return f"{self.scope_kind}:{self.scope_value} × {self.multiplier}"


class CostSplit(models.Model):
    """How a project's, a team's or a customer's cost is divided in a report. Append-only; rows stay as they are.

    `parts` are objects of `cost_center`, `gl_code` (may be empty) and `share`, a decimal string; the shares add up to 1.
    No parts: not divided any more.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    scope_kind = models.CharField(max_length=20)
    scope_value = models.CharField(max_length=80)
    parts = models.JSONField()
    effective_from = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "cost_split"

    def __str__(self) -> str:
        return f"{self.scope_kind}:{self.scope_value} in {len(self.parts)} parts"


class ModelHint(models.Model):
    """The model that certain calls get instead of the one they ask for. An empty selector is any."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    agent_sub = models.CharField(max_length=255, blank=True)
    project = models.CharField(max_length=80, blank=True)
    task_class = models.CharField(max_length=40, blank=True)
    model_from = models.CharField(max_length=200, blank=True)
    """A model or a family of models that is asked for."""
    prefer = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "model_hint"
        constraints = (
            models.UniqueConstraint(
                fields=["org", "agent_sub", "project", "task_class", "model_from"],
                condition=models.Q(retired_at=None),
                name="model_hint_live",
            ),
        )

    def __str__(self) -> str:
        return f"{self.model_from or 'any model'} → {self.prefer}"
