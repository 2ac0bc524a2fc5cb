"""The services that can be connected, by their kind."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from visionality.connectors.model import Connector, ConnectorFault

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
    target: Target,
    secret: str,  # noqa: ARG001 -- the kinds come with their own files
    clock: Callable[[], datetime],  # noqa: ARG001
    wait: Callable[[float], bool],  # noqa: ARG001
) -> Connector:
    """A connector with this credential. `wait` sits seconds out and says whether the work should stop."""
    raise ConnectorFault(f"{KINDS[target.kind]} cannot be read by this version.")


def is_signed(kind: str, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a webhook's bytes were sent by who knows the secret. Header names are in lower case."""
    if kind == "gitlab":
        return hmac.compare_digest(secret.encode(), headers.get("x-gitlab-token", "").encode())
    name = "x-hub-signature-256" if kind == "github" else "x-hub-signature"
    expected = f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"
    return hmac.compare_digest(expected.encode(), headers.get(name, "").encode())
