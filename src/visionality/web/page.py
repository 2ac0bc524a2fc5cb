"""What every template may use: who is signed in, where, and what is simulated."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from visionality.core.vendors import TITLES
from visionality.web.accounts.access import access_organisation
from visionality.web.accounts.members import member_or_none
from visionality.web.plane import plane
from visionality.web.sandboxed import sandboxed


def page(request: HttpRequest) -> dict[str, Any]:
    """Django's context processor; nothing is asked of the database before a template wants it."""
    member = member_or_none(request)
    if member is None:
        return {"member": None, "sandbox": plane().sandbox}
    return {
        "member": member,
        "organisation": SimpleLazyObject(lambda: access_organisation(member)),
        "simulated": SimpleLazyObject(lambda: simulated(sandboxed(member.org_id))),
        "gateway_url": plane().gateway_url,
    }


def simulated(names: tuple[str, ...]) -> dict[str, Any]:
    """The banner's words: which providers are simulated, and whether that is all of them."""
    return {"providers": [(name, TITLES[name]) for name in names], "all": len(names) == len(TITLES)}
