"""Where alerts go."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation


class AlertChannel(models.Model):
    """An address that alerts are sent to: of a mailbox (`email`), or of a server that takes signed ones (`webhook`)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    kind = models.CharField(max_length=20)
    target = models.CharField(max_length=400)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alert_channel"
        constraints = [
            models.UniqueConstraint(
                fields=["org", "kind", "target"],
                condition=models.Q(retired_at=None),
                name="alert_channel_live",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"
