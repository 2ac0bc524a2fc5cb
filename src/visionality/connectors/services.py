"""The services that can be connected, by their kind."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from visionality.connectors.model import Connector

KINDS = {
    "jira_cloud": "Jira Cloud",
    "jira_dc": "Jira Data Center",
    "bitbucket": "Bitbucket Cloud",
    "github": "GitHub",
    "gitlab": "GitLab",
}
"""Kind -> its name for people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which service, and what of it."""

    kind: str
    base_url: str
    """Empty for the public service."""
    scope: tuple[str, ...]
    """Jira's project keys (all when empty), Bitbucket's workspaces, GitHub's organisations, GitLab's groups."""
    account: str
    """The e-mail address of Basic authentication; empty for a bearer token."""
    ca_bundle: str
    """PEM text; empty for the system's."""


def connect(
    target: Target, secret: str, clock: Callable[[], datetime], wait: Callable[[float], bool]
) -> Connector:
    """A connector with this credential. `wait` sits seconds out and says whether the work should stop."""
    kind = importlib.import_module(f"visionality.connectors.{target.kind}")
    made: Connector = kind.connect(target, secret, clock, wait)
    return made


def is_signed(kind: str, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a webhook's signature is that of its service, in constant time."""
    checked: bool = importlib.import_module(f"visionality.connectors.{kind}").is_signed(secret, headers, body)
    return checked
