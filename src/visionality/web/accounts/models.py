"""Organisations, people, and the one-time links by which the local operator signs in."""

from django.db import models

from visionality.runtime.ids import uuid7


class Organisation(models.Model):
    """One tenant. Everything else belongs to exactly one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=60, default="UTC", db_default="UTC")
    """In which its budgets' days, weeks, months and quarters begin: an IANA name."""
    level_floor = models.SmallIntegerField(default=0, db_default=0)
    """The least that every key of it must show (core/level.py)."""
    epoch = models.IntegerField(default=1, db_default=1)
    """Only ever grows: what was issued under an earlier one is revoked."""
    denied_project = models.CharField(max_length=10, default="queue", db_default="queue")
    """What becomes of a call that claims a project which its key may not claim: `queue` or `refuse`."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "organisation"

    def __str__(self) -> str:
        return self.slug


class Person(models.Model):
    """Somebody as the company's sign-on knows them; `sso_sub` is on every row of what they spend."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    sso_sub = models.CharField(max_length=255)
    name = models.CharField(max_length=200)
    epoch = models.IntegerField(default=1, db_default=1)
    """Only ever grows: what was issued for them under an earlier one is revoked."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "person"
        constraints = [models.UniqueConstraint(fields=["org", "sso_sub"], name="person_sso_sub")]

    def __str__(self) -> str:
        return self.sso_sub


class LoginLink(models.Model):
    """A local sign-in that works once. Only the SHA-256 of its token is kept."""

    token_sha256 = models.BinaryField(primary_key=True, max_length=32)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    actor = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "login_link"

    def __str__(self) -> str:
        return f"link for {self.actor}"
