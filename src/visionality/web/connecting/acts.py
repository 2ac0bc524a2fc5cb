"""What an operator decides about connectors: the change and its audit row in one transaction (promise S5).

Run inside `web.start.organisation_context`. A secret goes in sealed; nothing here gives one back.
"""

import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from visionality.connectors.services import KINDS, Target
from visionality.runtime.destination import is_address, is_refused
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import connector_context, hook_context
from visionality.vault.sealing import Context, seal
from visionality.web.connecting.access import access_connector
from visionality.web.connecting.models import Connector, ConnectorRun, ConnectorSecret
from visionality.web.policy.acts import Act, AlreadyThere, BadName, checked_name, organisation_key, told

NEEDS_ADDRESS = ("jira_cloud", "jira_dc")
"""Kinds that have no public address of their own."""

_CONTEXTS: dict[str, Callable[[UUID, UUID, UUID, int], Context]] = {
    ConnectorSecret.CREDENTIAL: connector_context,
    ConnectorSecret.WEBHOOK: hook_context,
}


def add_connector(
    act: Act,
    keys: KeyProvider,
    name: str,
    target: Target,
    secret: bytes,
    expires_at: datetime | None = None,
) -> Connector:
    """Read from a service from now on. Raises BadName and AlreadyThere."""
    checked_target(target)
    if Connector.objects.filter(org_id=act.org_id, name=checked_name(name), enabled=True).exists():
        raise AlreadyThere(f"connector {name} is there already")
    made = Connector.objects.create(
        org_id=act.org_id,
        name=name,
        kind=target.kind,
        base_url=target.base_url.rstrip("/"),
        scope=list(target.scope),
        account=target.account,
        ca_bundle=target.ca_bundle,
        secret_expires_at=expires_at,
        made_at=act.now,
    )
    ConnectorRun.objects.create(connector=made, org_id=act.org_id, next_at=act.now)
    _keep(act, keys, made, ConnectorSecret.CREDENTIAL, secret)
    detail = {"connector": name, "connector_id": str(made.id), **_of_connector(made)}
    act.record("connector_added", detail)
    return made


def set_secret(
    act: Act, keys: KeyProvider, name: str, secret: bytes, expires_at: datetime | None = None
) -> None:
    """Go by another credential from now on, and try it at once. Raises Unknown."""
    found = access_connector(act, name)
    _keep(act, keys, found, ConnectorSecret.CREDENTIAL, secret)
    Connector.objects.filter(org_id=act.org_id, id=found.id).update(secret_expires_at=expires_at)
    ConnectorRun.objects.filter(org_id=act.org_id, connector=found).update(next_at=act.now)
    before = {"expires_at": _spelled(found.secret_expires_at)}
    detail = {"connector": name, "connector_id": str(found.id), "expires_at": _spelled(expires_at)}
    act.record("connector_secret_set", told(before, detail))


def set_webhook_secret(act: Act, keys: KeyProvider, name: str, secret: bytes) -> Connector:
    """Take webhooks that are signed with this, and with no earlier one. Raises Unknown."""
    found = access_connector(act, name)
    _keep(act, keys, found, ConnectorSecret.WEBHOOK, secret)
    act.record("connector_webhook_set", {"connector": name, "connector_id": str(found.id)})
    return found


def ask_for_sync(act: Act, name: str, *, full: bool) -> Connector:
    """Have it read at once, whatever it waits for, or after the run that goes on. Raises Unknown."""
    found = access_connector(act, name)
    asked: dict[str, object] = {"next_at": act.now, "poked_at": act.now}
    if full:
        asked["wants_full"] = True
    ConnectorRun.objects.filter(org_id=act.org_id, connector=found).update(**asked)
    act.record("connector_sync_asked", {"connector": name, "mode": "full" if full else "incremental"})
    return found


def remove_connector(act: Act, name: str) -> None:
    """Read from it no more. What was read stays. Raises Unknown."""
    found = access_connector(act, name)
    Connector.objects.filter(org_id=act.org_id, id=found.id).update(enabled=False)
    detail = {"connector": name, "connector_id": str(found.id)}
    act.record("connector_removed", told(_of_connector(found), detail))


def _of_connector(one: Connector) -> dict[str, str]:
    where = {"kind": one.kind, "base_url": one.base_url, "scope": " ".join(one.scope)}
    return {**where, "account": one.account, "expires_at": _spelled(one.secret_expires_at)}


def _spelled(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def checked_target(target: Target) -> None:
    """Raises BadName when nothing could, or may, be read there."""
    if target.kind not in KINDS:
        raise BadName(f"{target.kind!r} cannot be connected: expected {', '.join(KINDS)}")
    if target.kind in NEEDS_ADDRESS and not target.base_url:
        raise BadName(f"{KINDS[target.kind]} stands at no fixed address: say it with --base-url")
    if target.base_url and not is_address(target.base_url):
        raise BadName(
            f"{target.base_url!r} is no address: expected https://host or https://host/path, without key, query or space"
        )
    if target.base_url and is_refused(urlsplit(target.base_url).hostname or ""):
        raise BadName(f"nothing may be read from {target.base_url}, a machine's metadata service")
    _check_words("scope", target.scope)
    _check_words("account", [target.account] if target.account else [])
    if target.ca_bundle:
        try:
            ssl.create_default_context(cadata=target.ca_bundle)
        except (ssl.SSLError, ValueError, TypeError) as error:
            raise BadName(f"the CA bundle cannot be used ({error}): expected certificates in PEM") from None


def _check_words(what: str, words: Sequence[str]) -> None:
    for word in words:
        if not word or len(word) > 255 or not word.isprintable() or " " in word:
            raise BadName(f"{word!r} cannot be a {what}: expected at most 255 characters without spaces")


def _keep(act: Act, keys: KeyProvider, connector: Connector, purpose: str, secret: bytes) -> None:
    kek, record = organisation_key(act, keys)
    context = _CONTEXTS[purpose](act.org_id, connector.id, record.id, record.generation)
    ConnectorSecret.objects.create(
        id=uuid7(),
        org_id=act.org_id,
        connector=connector,
        purpose=purpose,
        sealed=seal(kek, context, secret),
        organisation_key=record,
        made_at=act.now,
    )
