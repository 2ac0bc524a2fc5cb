"""A signed-in member's act: one transaction of their organisation, with its audit rows inside (S5)."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest

from visionality.web.accounts.members import member_of
from visionality.web.accounts.roles import SAFE
from visionality.web.house import learn
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.start import organisation_context

LONGEST_REASON = 500


@contextmanager
def doing(request: HttpRequest) -> Iterator[Act]:
    """The act that a view does for whoever is signed in; a fault undoes all of it.

    A form's field `reason` goes into the audit row.
    """
    member = member_of(request)
    reason = "".join(filter(str.isprintable, request.POST.get("reason", ""))).strip()[:LONGEST_REASON]
    act = Act(
        member.org_id,
        member.actor,
        plane().clock(),
        member.sso_sub,
        reason,
        request.META.get("REMOTE_ADDR") or None,
    )
    with organisation_context(member.org_id):
        if request.method in SAFE:
            learn(request, member.org_id)
        yield act
