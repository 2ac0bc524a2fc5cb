"""Whether a hard budget stands over everything that a key spends."""

from visionality.core.scope import EACH, ORGANISATION
from visionality.web.issuing.models import VirtualKey
from visionality.web.policy.acts import Act
from visionality.web.policy.identities import team_of
from visionality.web.policy.models import Budget, Team


def is_capped(act: Act, key: VirtualKey) -> bool:
    """Whether the organisation, the key, or anything that all of its rows name has a hard budget."""
    named = _named(act, key)
    hard = Budget.objects.filter(org_id=act.org_id, hard=True, retired_at=None)
    return any(
        budget.scope_kind in named and budget.scope_value in (EACH, named[budget.scope_kind])
        for budget in hard
    )


def _named(act: Act, key: VirtualKey) -> dict[str, str]:
    """What a budget may be of so that it counts every row of the key."""
    project = key.project
    team = Team.objects.filter(org_id=act.org_id, key=team_of(act, key.agent.sub)).first()
    customer = key.customer or (project and project.customer)
    values = {
        "business_unit": (project and project.business_unit) or (team and team.business_unit),
        "project": project and project.key,
        "customer": customer and customer.key,
        "team": team and team.key,
        "person": key.agent.person and key.agent.person.sso_sub,
        "agent": key.agent.sub,
        "task_class": key.task_class,
        "key": str(key.id),
    }
    return {ORGANISATION: ""} | {kind: value for kind, value in values.items() if value}
