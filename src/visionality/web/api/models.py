"""What the API remembers: the answers to writes that carried an idempotency key."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation


class IdempotencyKey(models.Model):
    """A write that was done once, and how it was answered. Kept for a day.

    The answer is sealed under the organisation's key, since it may hold a secret that is shown once; null while the write is
    being done.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    token_id = models.UUIDField()
    """Whose write it was: the key of one program means nothing to another."""
    key = models.CharField(max_length=200)
    request_sha256 = models.BinaryField(max_length=32)
    made_at = models.DateTimeField()
    organisation_key_id = models.UUIDField(null=True)
    answer = models.BinaryField(null=True)

    class Meta:
        db_table = "idempotency_key"
        constraints = (
            models.UniqueConstraint(fields=["org", "token_id", "key"], name="idempotency_key_once"),
        )

    def __str__(self) -> str:
        return self.key
