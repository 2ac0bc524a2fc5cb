"""The organisation itself: the time zone in which its budgets' periods begin, and what becomes of denied projects."""

import re
from zoneinfo import ZoneInfo, available_timezones

from visionality.web.accounts.models import Organisation
from visionality.web.policy.acts import Act, AlreadyThere, BadName, alone, told
from visionality.web.policy.budgets import begin_again, openings
from visionality.web.start import organisation_context

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,59}")


def organisation(act: Act) -> Organisation:
    return Organisation.objects.get(pk=act.org_id)


def organisations() -> list[Organisation]:
    """All of the installation, by slug: for the machine itself, which sees each of them."""
    return list(Organisation.objects.order_by("slug"))


def add_organisation(act: Act, slug: str, name: str) -> Organisation:
    """A further organisation, beside the one that the act is of. Raises BadName and AlreadyThere."""
    if not _SLUG.fullmatch(slug):
        raise BadName(
            f"{slug!r} cannot be a slug: expected small letters, digits and hyphens, at most 60, a letter first"
        )
    name = _checked(name)
    if Organisation.objects.filter(slug=slug).exists():
        raise AlreadyThere(f"organisation {slug} is there already")
    made = Organisation(slug=slug, name=name)
    with organisation_context(made.id):
        made.save(force_insert=True)
        Act(made.id, act.actor, act.now).record("organisation_added", {"slug": slug, "name": made.name})
    return made


def set_name(act: Act, name: str) -> None:
    """What people call the organisation; its slug stays. Raises BadName."""
    name, before = _checked(name), {"name": alone(act).name}
    if before["name"] != name:
        Organisation.objects.filter(pk=act.org_id).update(name=name)
        act.record("organisation_set", told(before, {"name": name}))


def set_denied_project(act: Act, policy: str) -> None:
    """What becomes of a call that claims a project which its key may not claim: `queue` or `refuse`."""
    before = {"denied_project": alone(act).denied_project}
    if before["denied_project"] != policy:
        Organisation.objects.filter(pk=act.org_id).update(denied_project=policy)
        act.record("organisation_set", told(before, {"denied_project": policy}))


def set_time_zone(act: Act, name: str) -> int:
    """Let days, weeks, months and quarters begin by this zone. Returns how many budgets began again for it.

    Their windows of the moment open with what the rows cost since those began; calls in flight are not in it. Raises BadName.
    """
    if name not in available_timezones():
        raise BadName(
            f"{name!r} is no time zone: expected an IANA name such as Europe/Berlin, America/New_York or UTC"
        )
    before = {"time_zone": alone(act).time_zone}
    if before["time_zone"] == name:
        return 0
    begun = openings(act, ZoneInfo(name))
    Organisation.objects.filter(pk=act.org_id).update(time_zone=name)
    act.record("organisation_set", told(before, {"time_zone": name}))
    for budget, opening in begun:
        begin_again(act, budget, opening)
    return len(begun)


def _checked(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise BadName("expected a name of 1 to 200 printable characters")
    return name
