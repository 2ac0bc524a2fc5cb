"""Which roles a program may give to people: none that may see or do more than its own token.

A token can be stolen, and somebody whom it makes a member signs in without it. So it gives a role only when it has every scope
by which a program does what the pages do for that role, and never `operator`, who makes tokens and lowers floors. Taking
roles away is always allowed: the link of `vis login` lets the local operator in when nobody else is left.
"""

from collections.abc import Iterable

from visionality.web.accounts.roles import SCOPES_OF, Role
from visionality.web.api.bearer import Ask
from visionality.web.api.problem import Problem


def check_may_give(ask: Ask, roles: Iterable[str]) -> None:
    """Raises Problem for a role that is more than the token."""
    reads = {f"read:{one.removeprefix('write:')}" for one in ask.scopes if one.startswith("write:")}
    for role in sorted(set(roles) & set(Role)):
        needed = SCOPES_OF.get(Role(role))
        if needed is None:
            raise Problem(403, f"no program makes an {role}: an operator does, on the page of the members")
        if missing := needed - ask.scopes - reads:
            told = f"this token may not give the role {role}: it needs {' and '.join(sorted(missing))} itself"
            raise Problem(403, told)
