"""What may be spent, and how fast. A scope is a kind and a value; the value `*` is each value for itself (core/scope.py)."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation


class Budget(models.Model):
    """A cap on what a scope spends in each period. Editing keeps its windows; a retired one counts nothing more."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    scope_kind = models.CharField(max_length=20)
    scope_value = models.CharField(max_length=255, blank=True)
    period = models.CharField(max_length=10)
    cap_nusd = models.BigIntegerField()
    hard = models.BooleanField()
    """Whether a call that does not fit is refused; else it is only counted."""
    soft = models.JSONField(default=list)
    """Whole percents of the cap at which the operator is told, in rising order."""
    near_cap = models.CharField(max_length=10, default="refuse")
    """What happens to a call that would fit with a shorter answer: `refuse`, or `clamp` its output limit."""
    ceiling_nusd = models.BigIntegerField(null=True)
    """What is held for a call of unknown price; such calls are refused where there is none."""
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "budget"
        constraints = (
            models.UniqueConstraint(
                fields=["org", "scope_kind", "scope_value", "period"],
                condition=models.Q(retired_at=None),
                name="budget_live",
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope_kind}:{self.scope_value} a {self.period}"


class RateLimit(models.Model):
    """How many requests and tokens a minute; None does not limit."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    scope_kind = models.CharField(max_length=20)
    scope_value = models.CharField(max_length=255)
    requests_per_minute = models.IntegerField(null=True)
    tokens_per_minute = models.IntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "rate_limit"
        constraints = (
            models.UniqueConstraint(
                fields=["org", "scope_kind", "scope_value"],
                condition=models.Q(retired_at=None),
                name="rate_limit_live",
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope_kind}:{self.scope_value}"
