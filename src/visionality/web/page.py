"""What every template may use: who is signed in, where, and what is simulated."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from visionality.core.vendors import TITLES
from visionality.web.accounts.members import is_local, member_or_none, places
from visionality.web.house import house_of
from visionality.web.plane import plane
from visionality.web.rooms import rooms_for
from visionality.web.sandboxed import unkeyed


def page(request: HttpRequest) -> dict[str, Any]:
    """Django's context processor; nothing is asked of the database before a template wants it."""
    member = member_or_none(request)
    if member is None:
        return {"member": None, "sandbox": plane().sandbox}
    house = SimpleLazyObject(lambda: house_of(request, member.org_id))
    return {
        "member": member,
        "is_local": is_local(request),
        "organisations": SimpleLazyObject(lambda: places(request)),
        "groups": SimpleLazyObject(lambda: rooms_for(member.roles, has_begun=house.has_begun)),
        "organisation": house,
        "simulated": SimpleLazyObject(lambda: simulated(unkeyed(house.providers))),
        "gateway_url": plane().gateway_url,
    }


def simulated(names: tuple[str, ...]) -> dict[str, Any]:
    """The banner's words: which providers are simulated, and whether that is all of them."""
    return {"providers": [(name, TITLES[name]) for name in names], "all": len(names) == len(TITLES)}
