"""What an organisation decides. The gateway reads these tables only through the views of the registry."""

from visionality.web.policy.models.alerts import AlertChannel
from visionality.web.policy.models.budgets import Budget, RateLimit
from visionality.web.policy.models.floors import FloorRequest
from visionality.web.policy.models.identities import AgentIdentityPeriod
from visionality.web.policy.models.mapping import MappedRepo, MappingFile, ProjectAlias, TaskClassRule
from visionality.web.policy.models.names import AgentIdentity, EndCustomer, Project, Team
from visionality.web.policy.models.providers import OrganisationKey, PriceOverride, ProviderCredential
from visionality.web.policy.models.rules import CostSplit, Markup, ModelHint

__all__ = [
    "AgentIdentity",
    "AgentIdentityPeriod",
    "AlertChannel",
    "Budget",
    "CostSplit",
    "EndCustomer",
    "FloorRequest",
    "MappedRepo",
    "MappingFile",
    "Markup",
    "ModelHint",
    "OrganisationKey",
    "PriceOverride",
    "Project",
    "ProjectAlias",
    "ProviderCredential",
    "RateLimit",
    "TaskClassRule",
    "Team",
]
