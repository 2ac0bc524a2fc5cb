"""What a signed-in member may see of their organisation's account."""

from visionality.web.accounts.members import Member
from visionality.web.accounts.models import Organisation


def access_organisation(member: Member) -> Organisation:
    return Organisation.objects.get(pk=member.org_id)
