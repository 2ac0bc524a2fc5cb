"""Who may see and do what: a member has roles, a view says for which of them it is."""

from enum import StrEnum


class Role(StrEnum):
    """What somebody is in an organisation. An operator may do everything, an auditor sees everything and changes nothing."""

    OPERATOR = "operator"
    FINANCE = "finance"
    PEOPLE = "people"
    PROJECTS = "projects"
    SECURITY = "security"
    AUDITOR = "auditor"


EVERYBODY = frozenset(Role)
SCOPES_OF = {
    Role.FINANCE: frozenset({"read:ledger", "read:policy", "write:figures"}),
    Role.PEOPLE: frozenset({"read:ledger", "read:people", "write:keys"}),
    Role.PROJECTS: frozenset({"read:ledger", "read:policy"}),
    Role.SECURITY: frozenset({"read:ledger", "read:policy", "read:audit", "write:evidence"}),
    Role.AUDITOR: frozenset(
        {
            "identities:read",
            "read:ledger",
            "read:policy",
            "read:audit",
            "read:people",
            "read:members",
            "read:evidence",
        }
    ),
}
"""What a token needs to do through the API what the pages let a role do. No scopes are what an operator is."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def may(roles: frozenset[Role], wanted: frozenset[Role], method: str) -> bool:
    """Whether somebody with these roles may use a view that is for those, by this HTTP method."""
    if method in SAFE:
        return not roles.isdisjoint(wanted | {Role.OPERATOR, Role.AUDITOR})
    return not roles.isdisjoint((wanted | {Role.OPERATOR}) - {Role.AUDITOR})
