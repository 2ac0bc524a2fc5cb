"""The identity table over time."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.policy.models.names import AgentIdentity, Team


class AgentIdentityPeriod(models.Model):
    """From when on an agent has this owner, team and cost center. Append-only: the latest one that has begun counts.

    An agent without any has what stands in `agent_identity`. Its person is not dated: keys end with the person that they
    were issued for.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    agent = models.ForeignKey(AgentIdentity, on_delete=models.PROTECT)
    owner = models.CharField(max_length=200)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True)
    cost_center = models.CharField(max_length=80, blank=True)
    """The team's when it is empty."""
    gl_code = models.CharField(max_length=80, blank=True)
    """Of rows whose project has none."""
    valid_from = models.DateTimeField()
    made_at = models.DateTimeField()
    announced_at = models.DateTimeField(null=True)
    """When gateways were told that it has begun (jobs/periods.py)."""

    class Meta:
        db_table = "agent_identity_period"

    def __str__(self) -> str:
        return f"{self.agent} from {self.valid_from:%Y-%m-%d}"
