"""Who is in an organisation and as what, one act a function, each with its row in the audit log.

Run inside `web.start.organisation_context`. Raises Unknown, AlreadyThere and BadName with sentences for a person.
"""

import base64
import hashlib
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from visionality.web.accounts.access import access_member
from visionality.web.accounts.models import Invitation, Membership, User
from visionality.web.accounts.roles import Role
from visionality.web.policy.acts import Act, AlreadyThere, BadName, Unknown, told

VALID_FOR = timedelta(days=7)
"""How long an invitation works."""


def invite(act: Act, email: str, roles: Iterable[str]) -> tuple[Invitation, str]:
    """An invitation and the token of its link, which is shown now and never again. An earlier one of theirs ends."""
    email, wanted = checked_email(email), checked_roles(roles)
    if access_member(act, email) is not None:
        raise AlreadyThere(f"{email} is a member already: change their roles instead")
    Invitation.objects.filter(org_id=act.org_id, email=email, ended_at=None).update(ended_at=act.now)
    token = _token(act.org_id)
    made = Invitation.objects.create(
        org_id=act.org_id,
        email=email,
        roles=wanted,
        token_sha256=_digest(token),
        invited_by=act.actor,
        invited_at=act.now,
        expires_at=act.now + VALID_FOR,
    )
    act.record("member_invited", {"member": email, "roles": " ".join(wanted)})
    return made, token


def withdraw(act: Act, invitation_id: UUID) -> None:
    """End an invitation that nobody accepted."""
    found = Invitation.objects.filter(org_id=act.org_id, id=invitation_id, ended_at=None).first()
    if found is None:
        raise Unknown("there is no such open invitation")
    Invitation.objects.filter(pk=found.pk).update(ended_at=act.now)
    act.record("invitation_withdrawn", {"member": found.email})


def organisation_of(token: str) -> UUID | None:
    """The organisation that an invitation's token says it is of; None for what is no token."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except ValueError:
        return None
    return UUID(bytes=raw[:16]) if len(raw) == 48 else None


def invitation_of(org_id: UUID, token: str, now: datetime) -> Invitation | None:
    """The open invitation that this token is of. Whoever accepts it holds it until their transaction ends."""
    found = Invitation.objects.select_for_update(of=("self",)).select_related("org")
    return found.filter(org_id=org_id, token_sha256=_digest(token), ended_at=None, expires_at__gt=now).first()


def accept(act: Act, invitation: Invitation, user: User) -> Membership:
    """Make somebody a member as the invitation says; it ends."""
    Invitation.objects.filter(pk=invitation.pk).update(ended_at=act.now)
    return join(act, user, invitation.roles, "invitation")


def join(act: Act, user: User, roles: list[str], by: str) -> Membership:
    """Make somebody a member, again if they were one."""
    made, _ = Membership.objects.update_or_create(
        org_id=act.org_id,
        user=user,
        defaults={"roles": roles, "state": "active"},
        create_defaults={"roles": roles, "joined_at": act.now},
    )
    act.record("member_joined", {"member": user.email, "roles": " ".join(roles), "by": by})
    return made


def set_roles(act: Act, email: str, roles: Iterable[str]) -> Membership:
    """What a member is from now on, in the sessions that they have too."""
    wanted, member = checked_roles(roles), _member(act, email)
    if wanted != member.roles:
        before, member.roles = member.roles, wanted
        member.save(update_fields=["roles"])
        after = {"member": member.user.email, "roles": " ".join(wanted)}
        act.record("member_roles_set", told({"roles": " ".join(before)}, after))
    return member


def remove(act: Act, email: str) -> None:
    """End a membership, and with it what its sessions may see here, and the invitations by which they could come back."""
    member = _member(act, email)
    left = Invitation.objects.filter(org_id=act.org_id, email=member.user.email, ended_at=None)
    left.update(ended_at=act.now)
    member.state = "removed"
    member.save(update_fields=["state"])
    act.record("member_removed", told({"roles": " ".join(member.roles)}, {"member": member.user.email}))


def end_sessions(act: Act, email: str) -> None:
    """Sign a member out of this organisation wherever they are signed in."""
    member = _member(act, email)
    member.sessions_from = act.now
    member.save(update_fields=["sessions_from"])
    act.record("member_sessions_ended", {"member": member.user.email})


def checked_email(email: str) -> str:
    """The address in lower case. Raises BadName."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise BadName(f"{email!r} is no e-mail address") from None
    return email


def checked_roles(roles: Iterable[str]) -> list[str]:
    """The roles in order. Raises BadName."""
    wanted = sorted(set(roles))
    if not wanted or not set(wanted) <= set(Role):
        raise BadName(f"expected one or more of {', '.join(Role)}")
    return [str(one) for one in wanted]


def _member(act: Act, email: str) -> Membership:
    found = access_member(act, email)
    if found is None:
        raise Unknown(f"there is no member {email}")
    return found


def _token(org_id: UUID) -> str:
    """The organisation stands in it, so that it is looked up among that organisation's invitations only."""
    return base64.urlsafe_b64encode(org_id.bytes + os.urandom(32)).decode()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
