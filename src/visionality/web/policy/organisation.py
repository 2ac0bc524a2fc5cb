"""The organisation itself: the time zone in which its budgets' periods begin, and what becomes of denied projects."""

from zoneinfo import ZoneInfo, available_timezones

from visionality.web.accounts.models import Organisation
from visionality.web.policy.acts import Act, BadName, alone
from visionality.web.policy.budgets import begin_again, openings


def organisation(act: Act) -> Organisation:
    return Organisation.objects.get(pk=act.org_id)


def set_denied_project(act: Act, policy: str) -> None:
    """What becomes of a call that claims a project which its key may not claim: `queue` or `refuse`."""
    if alone(act).denied_project != policy:
        Organisation.objects.filter(pk=act.org_id).update(denied_project=policy)
        act.record("organisation_set", {"denied_project": policy})


def set_time_zone(act: Act, name: str) -> int:
    """Let days, weeks, months and quarters begin by this zone. Returns how many budgets began again for it.

    Their windows of the moment open with what the rows cost since those began; calls in flight are not in it. Raises BadName.
    """
    if name not in available_timezones():
        raise BadName(
            f"{name!r} is no time zone: expected an IANA name such as Europe/Berlin, America/New_York or UTC"
        )
    if alone(act).time_zone == name:
        return 0
    begun = openings(act, ZoneInfo(name))
    Organisation.objects.filter(pk=act.org_id).update(time_zone=name)
    act.record("organisation_set", {"time_zone": name})
    for budget, opening in begun:
        begin_again(act, budget, opening)
    return len(begun)
