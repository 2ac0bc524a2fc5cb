"""Floors: the least that every key of the organisation, or of a project, must show (promise K4).

Raising one holds at once. Lowering one is asked for by one person and approved by another; each step is an audit row. Run
inside `web.start.organisation_context`.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet

from visionality.core.scope import ORGANISATION, Scope
from visionality.web.accounts.models import Organisation
from visionality.web.policy.acts import Act, AlreadyThere, BadName, Unknown, alone, found, told
from visionality.web.policy.models import FloorRequest, Project

FLOORED = (ORGANISATION, "project")
"""Kinds that can have a floor."""


def set_floor(act: Act, scope: Scope, level: int) -> FloorRequest | None:
    """Raise a floor, which holds at once; or ask for a lower one, and return what another person must approve.

    Raises Unknown; AlreadyThere when it is this level already, or a lower one was asked for already.
    """
    org = alone(act)
    project = _project(act, scope)
    floor = project or org
    if level == floor.level_floor:
        raise AlreadyThere(f"the floor of {scope} is {level} already")
    if level > floor.level_floor:
        before = {"floor": str(floor.level_floor)}
        _move(floor, level)
        act.record("floor_raised", told(before, {"scope": str(scope), "floor": str(level)}))
        return None
    if waiting := _open(act).filter(project=project).first():
        raise AlreadyThere(
            f"{waiting.requested_by} asked for a lower floor of {scope} already: approve or decline {waiting.id} first"
        )
    asked = FloorRequest.objects.create(
        org_id=act.org_id,
        project=project,
        from_level=floor.level_floor,
        to_level=level,
        requested_by=act.actor,
        requested_at=act.now,
    )
    act.record("floor_lower_requested", _request(asked))
    return asked


def approve(act: Act, request_id: UUID) -> FloorRequest:
    """Lower the floor that another person asked to lower.

    Raises Unknown, or BadName for one's own request and for one that a floor has moved away from.
    """
    org = alone(act)
    asked = access_floor_request(act, request_id)
    if asked.requested_by == act.actor:
        raise BadName(f"{act.actor} asked for this: another person has to approve it")
    floor = asked.project or org
    if floor.level_floor != asked.from_level:
        raise BadName(
            f"the floor is {floor.level_floor} by now and was {asked.from_level} when this was asked for: decline it"
        )
    _move(floor, asked.to_level)
    _decide(act, asked, is_approved=True)
    before = {"floor": str(asked.from_level)}
    act.record("floor_lowered", told(before, {**_request(asked), "floor": str(asked.to_level)}))
    return asked


def decline(act: Act, request_id: UUID) -> FloorRequest:
    """Leave the floor as it is; whoever asked may take it back so. Raises Unknown."""
    alone(act)
    asked = access_floor_request(act, request_id)
    _decide(act, asked, is_approved=False)
    act.record("floor_lower_declined", _request(asked))
    return asked


def floors(act: Act) -> list[tuple[Scope, int]]:
    """The organisation's floor, then those of its projects that have one."""
    org = Organisation.objects.get(pk=act.org_id)
    projects = Project.objects.filter(org_id=act.org_id, level_floor__gt=0).order_by("key")
    own = [(Scope("project", project.key), project.level_floor) for project in projects]
    return [(Scope(ORGANISATION, ""), org.level_floor), *own]


def waiting(act: Act) -> Iterable[FloorRequest]:
    """What was asked for and nobody decided, the oldest first."""
    return list(_open(act).select_related("project").order_by("requested_at", "id"))


def scope_of(asked: FloorRequest) -> Scope:
    return Scope("project", asked.project.key) if asked.project else Scope(ORGANISATION, "")


def _open(act: Act) -> QuerySet[FloorRequest]:
    return FloorRequest.objects.filter(org_id=act.org_id, approved=None)


def _project(act: Act, scope: Scope) -> Project | None:
    return None if scope.kind == ORGANISATION else found(act, Project, "project", key=scope.value)


def access_floor_request(act: Act, request_id: UUID) -> FloorRequest:
    """What was asked for and waits. Raises Unknown."""
    asked = _open(act).filter(id=request_id).select_related("project").first()
    if asked is None:
        raise Unknown(f"nothing waits under {request_id}: `vis floor show` shows what was asked for")
    return asked


def _move(floor: Organisation | Project, level: int) -> None:
    floor.level_floor = level
    floor.save(update_fields=["level_floor"])


def _decide(act: Act, asked: FloorRequest, *, is_approved: bool) -> None:
    asked.approved, asked.decided_by, asked.decided_at = is_approved, act.actor, act.now
    asked.save(update_fields=["approved", "decided_by", "decided_at"])


def _request(asked: FloorRequest) -> dict[str, str]:
    return {
        "request_id": str(asked.id),
        "scope": str(scope_of(asked)),
        "floor": str(asked.from_level),
        "asked_floor": str(asked.to_level),
        "requested_by": asked.requested_by,
    }
