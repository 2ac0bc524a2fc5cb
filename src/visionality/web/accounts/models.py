"""Organisations, people of whom rows are, those who sign in and what they are where, and the links that let somebody in once."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
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
    sign_on_only = models.BooleanField(default=False, db_default=False)
    """Whether its members come in by its own sign-on and by nothing else; the local operator's link always works."""
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


class User(AbstractBaseUser):
    """Somebody who signs in, whatever organisations they are in. What they may do is said by their memberships alone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    """In lower case."""
    name = models.CharField(max_length=200)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BaseUserManager["User"]()

    USERNAME_FIELD = "email"

    class Meta:
        db_table = "account_user"

    def __str__(self) -> str:
        return self.email


class Membership(models.Model):
    """What somebody is in an organisation. A row stays when they leave, and is theirs again when they come back."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    roles = models.JSONField()
    """A sorted list of roles.Role."""
    sso_issuer = models.CharField(max_length=400, blank=True)
    sso_sub = models.CharField(max_length=255, blank=True)
    """Their subject at the organisation's sign-on, which together with its issuer is who they are; empty until they used it."""
    state = models.CharField(max_length=10, default="active")
    """`active` or `removed`."""
    sessions_from = models.DateTimeField(null=True)
    """A session that began before this does not count here: signed out of this organisation, and of no other."""
    joined_at = models.DateTimeField()
    entered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "membership"
        constraints = [
            models.UniqueConstraint(fields=["org", "user"], name="membership_user"),
            models.UniqueConstraint(
                fields=["org", "sso_issuer", "sso_sub"],
                condition=~models.Q(sso_sub=""),
                name="membership_subject",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.org_id}"


class Invitation(models.Model):
    """A link that makes whoever bears it a member, once. Only the SHA-256 of its token is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    email = models.EmailField()
    roles = models.JSONField()
    token_sha256 = models.BinaryField(max_length=32, unique=True)
    invited_by = models.CharField(max_length=200)
    invited_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    """When it was accepted, withdrawn, or replaced by another one."""

    class Meta:
        db_table = "invitation"

    def __str__(self) -> str:
        return self.email


class SignOn(models.Model):
    """An organisation's own OpenID Connect issuer. Its client secret is sealed under the organisation's key."""

    org = models.OneToOneField(Organisation, on_delete=models.PROTECT, primary_key=True)
    title = models.CharField(max_length=80)
    issuer = models.CharField(max_length=400)
    client_id = models.CharField(max_length=191)
    sealed = models.BinaryField()
    organisation_key_id = models.UUIDField()
    domains = models.JSONField(default=list)
    """Domains of e-mail addresses, in lower case, whose owners are led here."""
    joins = models.BooleanField(default=False)
    """Whether somebody of these domains becomes a member without an invitation."""
    joins_as = models.JSONField(default=list)
    set_at = models.DateTimeField()

    class Meta:
        db_table = "sign_on"

    def __str__(self) -> str:
        return self.issuer
