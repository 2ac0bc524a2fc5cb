"""What is connected, how reading goes, and what was read. Nothing of it is ever deleted: rows may refer to it."""

from visionality.web.connecting.models.connectors import Connector, ConnectorRun, ConnectorSecret
from visionality.web.connecting.models.hosts import (
    PullRequest,
    PullRequestCommit,
    TrackedBranch,
    TrackedRepository,
)
from visionality.web.connecting.models.trackers import TrackedIssue, TrackedProject

__all__ = [
    "Connector",
    "ConnectorRun",
    "ConnectorSecret",
    "PullRequest",
    "PullRequestCommit",
    "TrackedBranch",
    "TrackedIssue",
    "TrackedProject",
    "TrackedRepository",
]
