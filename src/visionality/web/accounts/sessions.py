"""Where an organisation's members are signed in to it. What they do in other organisations is theirs and is not shown."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from visionality.web.accounts.members import began_here
from visionality.web.accounts.models import Membership
from visionality.web.accounts.sealed_sessions import SessionStore
from visionality.web.policy.acts import Act, Unknown

MOST = 500
"""Sessions that are looked at, the newest."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A session of a member that sees the organisation: since when, from which address, in which browser."""

    id: int
    since: datetime
    address: str
    browser: str


def access_sessions(act: Act, members: Collection[Membership]) -> dict[UUID, list[Seen]]:
    """By membership, the newest first: the sessions that their next request would find in this organisation."""
    of = {one.user_id: one for one in members if one.org_id == act.org_id}
    known = list(UserSession.objects.filter(user_id__in=of).order_by("-created_at")[:MOST])
    keys = [one.session_key for one in known]
    stored = {
        one.session_key: SessionStore().decode(one.session_data)
        for one in Session.objects.filter(session_key__in=keys, expire_date__gt=act.now)
    }
    found: dict[UUID, list[Seen]] = {}
    for one in known:
        member = of[one.user_id]
        began = began_here(stored.get(one.session_key, {}), member)
        if began is not None:
            found.setdefault(member.pk, []).append(Seen(one.pk, began, one.ip, one.user_agent))
    return found


def end_session(act: Act, member: Membership, session_id: int) -> None:
    """End one of a member's sessions that see the organisation. Raises Unknown.

    All of it ends: a session that an operator ends is one that somebody else may hold.
    """
    seen = access_sessions(act, [member]).get(member.pk, [])
    found = next((one for one in seen if one.id == session_id), None)
    if found is None:
        raise Unknown(f"{member.user.email} has no such session here: it may have ended meanwhile")
    UserSession.objects.get(pk=session_id).end()
    began = {"since": found.since.isoformat(timespec="seconds"), "seen_from": found.address}
    act.record("member_session_ended", {"member": member.user.email, **began})
