"""Virtual keys, and what proves them: services with their binding keys, and the keys that envelopes are signed with."""

from django.db import models

from visionality.runtime.ids import uuid7
from visionality.web.accounts.models import Organisation
from visionality.web.policy.models import AgentIdentity, EndCustomer, OrganisationKey, Project

CALL, MINT, EXCHANGE = "call", "mint", "exchange"
"""What a key may do: call models; mint narrower tokens below itself; or be exchanged, as a device's credential, for
short-lived keys of a checkout."""


def call_only() -> list[str]:
    return [CALL]


class Service(models.Model):
    """A customer's backend that holds binding keys in memory.

    Its X25519 key is said once, on the machine: no application role can change it, so that nobody who has stolen a
    session of the pages gets a binding key sealed to a key of their own.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    key = models.CharField(max_length=80)
    x25519 = models.BinaryField(max_length=32)
    registered_by = models.CharField(max_length=200)
    registered_at = models.DateTimeField()

    class Meta:
        db_table = "service"
        constraints = (models.UniqueConstraint(fields=["org", "key"], name="service_key"),)

    def __str__(self) -> str:
        return self.key


class VirtualKey(models.Model):
    """A grant and its bindings. The handle itself is shown once; only its keyed hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    handle_hmac = models.BinaryField(max_length=32, unique=True)
    shown = models.CharField(max_length=12)
    agent = models.ForeignKey(AgentIdentity, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True)
    customer = models.ForeignKey(EndCustomer, on_delete=models.PROTECT, null=True)
    task_id = models.CharField(max_length=80, blank=True)
    task_class = models.CharField(max_length=40, blank=True)
    memo = models.CharField(max_length=200, blank=True)
    url = models.CharField(max_length=400, blank=True)
    level = models.SmallIntegerField(default=0, db_default=0)
    projects = models.JSONField(default=list, db_default=[])
    """The projects that a call may claim where the key is bound to none; an empty list is any."""
    scopes = models.JSONField(default=call_only, db_default=["call"])
    model_globs = models.JSONField(default=list, db_default=[])
    """The models that it may call; an empty list allows every one."""
    providers = models.JSONField(default=list, db_default=[])
    networks = models.JSONField(default=list, db_default=[])
    """In CIDR notation."""
    callers = models.JSONField(default=list, db_default=[])
    """Who may sign a proof; an empty list is anybody with the binding key."""
    service = models.ForeignKey(Service, on_delete=models.PROTECT, null=True)
    org_epoch = models.IntegerField(default=1, db_default=1)
    """The organisation's when it was issued or rotated."""
    person_epoch = models.IntegerField(default=1, db_default=1)
    """Its person's; 1 where its agent has none."""
    rotation = models.IntegerField(default=0, db_default=0)
    rotated_at = models.DateTimeField(null=True)
    previous_hmac = models.BinaryField(max_length=32, null=True)
    """The handle before the last rotation, which works until `previous_until`."""
    previous_until = models.DateTimeField(null=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "virtual_key"

    def __str__(self) -> str:
        return f"{self.shown}… for {self.agent}"


class BindingKey(models.Model):
    """The second factor of a service's keys, sealed under the organisation's key. Its id is the `k=` of a proof."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    service = models.ForeignKey(Service, on_delete=models.PROTECT)
    organisation_key = models.ForeignKey(OrganisationKey, on_delete=models.PROTECT)
    sealed = models.BinaryField()
    thumbprint = models.BinaryField(max_length=32)
    """SHA-256 of the key."""
    made_at = models.DateTimeField()
    retires_at = models.DateTimeField(null=True)
    """From then on it proves nothing; null while no newer one replaced it."""
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "binding_key"

    def __str__(self) -> str:
        return f"{self.id} of {self.service}"


class SigningKey(models.Model):
    """The Ed25519 key that an organisation's tokens are signed with. One signs; earlier ones are believed for a while."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    organisation_key = models.ForeignKey(OrganisationKey, on_delete=models.PROTECT)
    public = models.BinaryField(max_length=32)
    sealed = models.BinaryField()
    made_at = models.DateTimeField()
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True)
    verify_until = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    """Nothing that it ever signed is believed any more."""

    class Meta:
        db_table = "signing_key"
        constraints = (
            models.UniqueConstraint(
                fields=["org"],
                condition=models.Q(active_until=None),
                name="signing_key_active",
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class ServiceToken(models.Model):
    """What a program shows to the control plane. The token itself is shown once; only its keyed hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    token_hmac = models.BinaryField(max_length=32, unique=True)
    shown = models.CharField(max_length=40)
    scopes = models.JSONField()
    issued_by = models.CharField(max_length=200)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "service_token"

    def __str__(self) -> str:
        return f"{self.shown}…"


class RevokedToken(models.Model):
    """A token that ended before its time. Kept until it would have expired; never taken back."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    org = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    jti = models.UUIDField()
    until = models.DateTimeField()
    revoked_at = models.DateTimeField()

    class Meta:
        db_table = "revoked_token"
        constraints = (models.UniqueConstraint(fields=["org", "jti"], name="revoked_token_jti"),)

    def __str__(self) -> str:
        return str(self.jti)
