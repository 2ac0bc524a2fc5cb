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
