"""What of an organisation's policy may be read, and by whom it is asked for."""

from uuid import UUID

from visionality.web.policy.models import Project, Team
from visionality.web.start import organisation_context


def access_project_names(org_id: UUID) -> dict[str, str]:
    """What each project is called, by its key."""
    with organisation_context(org_id):
        return dict(Project.objects.filter(org_id=org_id).values_list("key", "name"))


def access_cost_centers(org_id: UUID) -> dict[str, str]:
    """The cost center that pays for each team that has one, by the team's key."""
    with organisation_context(org_id):
        teams = Team.objects.filter(org_id=org_id).exclude(cost_center="")
        return dict(teams.values_list("key", "cost_center"))
