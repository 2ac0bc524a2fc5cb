"""The services that can be connected: where each stands, how a credential is shown to it, and how it signs what it sends.

Signatures: WebSub 0.4 section 7 (`X-Hub-Signature`) for Jira and Bitbucket with SHA-256, GitHub's "Validating webhook
deliveries", GitLab's "Webhooks" (a plain token).
"""

import base64
import hashlib
import hmac
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from visionality.connectors import bitbucket, github, gitlab, jira_cloud, jira_dc
from visionality.connectors.git_host import GitHost
from visionality.connectors.http import Api, tls
from visionality.connectors.jira import Jira
from visionality.connectors.model import Connector, ConnectorFault, CredentialRefused
from visionality.runtime.destination import is_refused

KINDS = {
    "jira_cloud": "Jira Cloud",
    "jira_dc": "Jira Data Center",
    "bitbucket": "Bitbucket Cloud",
    "github": "GitHub",
    "gitlab": "GitLab",
}
"""Their names for people."""

_PUBLIC = {"bitbucket": bitbucket.ROOT, "github": github.ROOT, "gitlab": gitlab.ROOT}
_API = {
    "jira_cloud": jira_cloud.PATH,
    "jira_dc": jira_dc.PATH,
    "bitbucket": "/2.0",
    "github": "/api/v3",
    "gitlab": "/api/v4",
}
_FRONT_DOORS = {
    "bitbucket": ("https://bitbucket.org", "https://api.bitbucket.org"),
    "github": ("https://github.com", "https://api.github.com"),
}
"""What people take for the address of a public service."""
_TOKEN = frozenset(string.ascii_letters + string.digits + string.punctuation)
_SIGNED_BY = {
    "jira_cloud": "x-hub-signature",
    "jira_dc": "x-hub-signature",
    "bitbucket": "x-hub-signature",
    "github": "x-hub-signature-256",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What is connected."""

    kind: str
    """jira_cloud, jira_dc, bitbucket, github or gitlab."""
    base_url: str
    """Empty for the public service."""
    scope: tuple[str, ...]
    """Jira's project keys (all when empty), Bitbucket's workspaces, GitHub's organisations, GitLab's groups."""
    account: str
    """The e-mail for Basic auth, empty for a bearer token."""
    ca_bundle: str
    """PEM text, empty for the system's authorities."""


def connect(
    target: Target, secret: str, clock: Callable[[], datetime], wait: Callable[[float], bool]
) -> Connector:
    """A connector; nothing is sent yet. `wait` waits so many seconds and is True when told to stop.

    Raises ConnectorFault when the target or the secret cannot be right.
    """
    service = KINDS.get(target.kind)
    if service is None:
        raise ConnectorFault(
            f"{target.kind!r} is no service that can be connected: expected {', '.join(KINDS)}."
        )
    headers = _authorization(service, target.account, secret)
    if target.kind == "github":
        headers |= github.HEADERS
    opened = partial(Api, service, _root(target), headers, tls(target.ca_bundle), clock, wait)
    if target.kind == "jira_cloud":
        return Jira(opened, target.scope, jira_cloud.listed, jira_cloud.searched)
    if target.kind == "jira_dc":
        return Jira(opened, target.scope, jira_dc.listed, jira_dc.searched)
    if not target.scope:
        raise ConnectorFault(f"{service} is read by workspace, organisation or group: name at least one.")
    if target.kind == "bitbucket":
        return GitHost(opened, bitbucket.Bitbucket(target.account, target.scope), target.scope, clock)
    host = github.GitHub() if target.kind == "github" else gitlab.GitLab()
    return GitHost(opened, host, target.scope, clock)


def is_signed(kind: str, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a webhook's bytes were sent by who knows the secret. Header names are in lower case."""
    if not secret:
        return False
    if kind == "gitlab":
        expected, given = secret, headers.get("x-gitlab-token", "")
    else:
        expected = "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
        given = headers.get(_SIGNED_BY.get(kind, ""), "")
    return hmac.compare_digest(expected.encode(), given.encode())


def _root(target: Target) -> str:
    """The address of its API, without a slash at the end. Raises ConnectorFault."""
    service, given = KINDS[target.kind], target.base_url.rstrip("/")
    if not given or given in _FRONT_DOORS.get(target.kind, ()):
        if target.kind not in _PUBLIC:
            raise ConnectorFault(f"{service} stands at no common address: give its own, as https://….")
        return _PUBLIC[target.kind]
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    is_plain = given.isprintable() and not set(given) & set(" ?#@\\")
    if not is_plain or parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConnectorFault(
            f"The address of {service} must start with https:// and hold no credential, query or space."
        )
    if is_refused(parts.hostname):
        raise ConnectorFault(
            f"The address of {service} is a machine's metadata service: nothing is sent there."
        )
    return given if given.endswith(_API[target.kind]) else given + _API[target.kind]


def _authorization(service: str, account: str, secret: str) -> dict[str, str]:
    """Raises CredentialRefused."""
    if not secret or (not account and set(secret) - _TOKEN):
        raise CredentialRefused(
            f"The credential of {service} is empty or holds a space or a character that no token has: copy it again."
        )
    if account:
        return {"authorization": "Basic " + base64.b64encode(f"{account}:{secret}".encode()).decode()}
    return {"authorization": f"Bearer {secret}"}
