"""The pages that the navigation leads to, in reading order, each for whom it is."""

from dataclasses import dataclass

from visionality.web.accounts.roles import EVERYBODY, Role, may


@dataclass(frozen=True, slots=True)
class Room:
    """`name` is what its address is called in urls.py, and what a view says as `room`."""

    name: str
    title: str
    roles: frozenset[Role] = EVERYBODY


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    rooms: tuple[Room, ...]


def _for(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


FIRST_RUN = "start"
_OPERATORS = _for(Role.OPERATOR)

GROUPS = (
    Group(
        "Seats",
        (
            Room("finance", "Finance", _for(Role.FINANCE)),
            Room("people", "People", _for(Role.PEOPLE)),
            Room("projects", "Projects", _for(Role.PROJECTS)),
            Room("security", "Security", _for(Role.SECURITY)),
            Room("operations", "Operations", _OPERATORS),
        ),
    ),
    Group(
        "Records",
        (
            Room("ledger", "Ledger"),
            Room("coverage", "Coverage"),
            Room("audit", "Audit", _for(Role.SECURITY)),
            Room("evidence", "Evidence", _for(Role.SECURITY)),
            Room("controls", "Controls", _for(Role.SECURITY)),
        ),
    ),
    Group(
        "Control",
        (
            Room(FIRST_RUN, "Set up", _OPERATORS),
            Room("budgets", "Budgets", _for(Role.FINANCE)),
            Room("keys", "Keys", _for(Role.SECURITY)),
            Room("queue", "Queue", _for(Role.FINANCE)),
            Room("hints", "Hints", _OPERATORS),
            Room("limits", "Limits", _OPERATORS),
            Room("floors", "Floors", _for(Role.SECURITY)),
            Room("alerts", "Alerts", _for(Role.FINANCE)),
            Room("allocation", "Allocation", _for(Role.FINANCE)),
            Room("prices", "Prices", _for(Role.FINANCE)),
            Room("providers", "Providers", _OPERATORS),
            Room("names", "Names", _OPERATORS),
            Room("map", "Map", _OPERATORS),
            Room("connectors", "Connectors", _OPERATORS),
        ),
    ),
    Group(
        "Access",
        (
            Room("members", "Members", _OPERATORS),
            Room("sign_in_settings", "Company sign-on", _OPERATORS),
            Room("service_tokens", "Service tokens", _OPERATORS),
            Room("signing_keys", "Signing keys", _for(Role.SECURITY)),
            Room("organisation_settings", "Organisation", _OPERATORS),
        ),
    ),
)


def rooms_for(roles: frozenset[Role], *, has_begun: bool) -> list[Group]:
    """What somebody with these roles is led to; to the first run only while the ledger has not begun."""
    seen = (
        Group(
            group.title,
            tuple(
                room
                for room in group.rooms
                if may(roles, room.roles, "GET") and not (has_begun and room.name == FIRST_RUN)
            ),
        )
        for group in GROUPS
    )
    return [group for group in seen if group.rooms]
