"""Orders to correct rows. The jobs read them through `vis.correction_orders_v1` and append what they say."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.policy.models import EndCustomer, Project


class CorrectionOrder(models.Model):
    """What rows are to be booked on instead. Append-only; `vis.correction_done` has those that were carried out."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    author = models.CharField(max_length=200)
    reason = models.CharField(max_length=400)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    customer = models.ForeignKey(EndCustomer, on_delete=models.PROTECT, null=True)
    task_id = models.CharField(max_length=80, blank=True)
    epic_id = models.CharField(max_length=80, blank=True)
    repo = models.CharField(max_length=500, blank=True)
    """Empty, like the branch, where the row's own stays."""
    branch = models.CharField(max_length=500, blank=True)
    level = models.SmallIntegerField()
    confidence = models.SmallIntegerField()
    rows = models.JSONField()
    """`[id, created_at]` of each row, the time as ISO 8601."""
    made_at = models.DateTimeField()

    class Meta:
        db_table = "correction_order"

    def __str__(self) -> str:
        return f"{len(self.rows)} rows to {self.project}"
