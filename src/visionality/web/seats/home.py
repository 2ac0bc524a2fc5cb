"""Where a member's day begins: each role at its seat, an operator of an empty ledger at the first run."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

from visionality.web.accounts.members import Member, for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.house import access_house

SEATS = {
    Role.FINANCE: "finance",
    Role.PEOPLE: "people",
    Role.PROJECTS: "projects",
    Role.SECURITY: "security",
    Role.AUDITOR: "security",
}
"""After the operator's, in the order in which one of several roles wins."""


@for_roles()
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(home_of(member_of(request)))


def home_of(member: Member) -> str:
    """The address that a member goes to after sign-in."""
    if Role.OPERATOR in member.roles:
        name = "operations" if access_house(member.org_id).has_begun else "start"
    else:
        name = next((seat for role, seat in SEATS.items() if role in member.roles), "ledger")
    return path_of(name) or reverse("ledger")


def path_of(name: str) -> str:
    """The address of this name; empty where there is none."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
