"""What a signed-in member may see of their organisation's account, and what somebody may see of themselves."""

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection, transaction

from visionality.web.accounts.models import Invitation, Membership, Organisation, Person, SignOn

if TYPE_CHECKING:
    from visionality.web.policy.acts import Act


def access_person_names(act: "Act", subjects: Collection[str]) -> dict[str, str]:
    """What the people with these subjects at the sign-on are called."""
    people = Person.objects.filter(org_id=act.org_id, sso_sub__in=subjects)
    return dict(people.values_list("sso_sub", "name"))


def access_memberships(user_id: UUID) -> list[Membership]:
    """Where somebody is a member, by the organisations' names. The database shows this transaction those rows alone."""
    with transaction.atomic():
        _say("vis.user_id", str(user_id))
        found = Membership.objects.filter(user_id=user_id, state="active").select_related("org", "user")
        theirs = list(found.order_by("org__name", "org_id"))
        _say("vis.user_id", "")
    return theirs


def access_members(act: "Act") -> list[Membership]:
    """The organisation's members, and those who were, by e-mail address."""
    found = Membership.objects.filter(org_id=act.org_id).select_related("user", "org")
    return list(found.order_by("state", "user__email"))


def access_member(act: "Act", email: str) -> Membership | None:
    """The member with this e-mail address, if there is one."""
    found = Membership.objects.select_for_update(of=("self",)).select_related("user")
    return found.filter(org_id=act.org_id, state="active", user__email=email.strip().lower()).first()


def access_membership(act: "Act", membership_id: UUID) -> Membership | None:
    """The member of this id, or somebody who was one."""
    found = Membership.objects.filter(org_id=act.org_id, id=membership_id)
    return found.select_related("user", "org").first()


def access_invitations(act: "Act") -> list[Invitation]:
    """Those that still work."""
    found = Invitation.objects.filter(org_id=act.org_id, ended_at=None, expires_at__gt=act.now)
    return list(found.order_by("email"))


def access_sign_on(org_id: UUID) -> SignOn | None:
    """The organisation's own sign-on. Within `organisation_context` of it."""
    return SignOn.objects.filter(org_id=org_id).select_related("org").first()


def organisation_of_domain(domain: str) -> Organisation | None:
    """The organisation whose sign-on is for addresses of this domain; none where several say so."""
    with transaction.atomic():
        _say("vis.email_domain", domain.lower())
        found = [
            one.org for one in SignOn.objects.filter(domains__contains=[domain.lower()]).select_related("org")
        ]
        _say("vis.email_domain", "")
    return found[0] if len(found) == 1 else None


def _say(setting: str, value: str) -> None:
    """Tell the policies of the tables, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("select set_config(%s, %s, true)", [setting, value])
