"""What a sign-in means: which organisation it is for, and a row of that organisation's audit log (promise S5)."""

from typing import Any
from uuid import UUID

from allauth.account.internal.flows.login import get_authentication_records
from django.http import HttpRequest

from visionality.web.accounts.members import began, member_or_none
from visionality.web.accounts.models import Membership, User
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.start import organisation_context


def enter(request: HttpRequest, user: User) -> None:
    """Begin the session of somebody who just proved who they are."""
    ways = get_authentication_records(request, user)
    began(request, _vouching(ways))
    member = member_or_none(request)
    if member is None:
        return
    act = Act(
        member.org_id,
        member.actor,
        plane().clock(),
        member.sso_sub,
        address=request.META.get("REMOTE_ADDR") or None,
    )
    with organisation_context(act.org_id):
        Membership.objects.filter(org_id=act.org_id, user_id=user.pk).update(entered_at=act.now)
        act.record("signed_in", {"by": ", ".join(map(_named, ways))})


def _vouching(ways: list[dict[str, Any]]) -> UUID | None:
    """The organisation whose sign-on is all that vouches for somebody: no password and no passkey of theirs does."""
    if any(one["method"] == "password" or one.get("passwordless") for one in ways):
        return None
    companies = [one["provider"] for one in ways if one["method"] == "socialaccount"]
    return UUID(companies[-1]) if companies else None


def _named(way: dict[str, Any]) -> str:
    if way["method"] == "socialaccount":
        return "company sign-on"
    if way["method"] == "mfa":
        return {"webauthn": "passkey", "totp": "authenticator app"}.get(way["type"], "recovery code")
    return str(way["method"])
