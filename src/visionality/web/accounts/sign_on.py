"""An organisation's own OpenID Connect issuer: set, shown, removed, each with its row in the audit log.

Run inside `web.start.organisation_context`. Raises BadName and Unknown with sentences for a person.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from visionality.runtime.destination import is_refused
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import organisation_context as key_context
from visionality.vault.purposes import sign_on_context
from visionality.vault.sealing import seal, unseal
from visionality.web.accounts.access import access_sign_on
from visionality.web.accounts.membership import checked_roles
from visionality.web.accounts.models import Organisation, SignOn
from visionality.web.policy.acts import Act, BadName, Unknown, organisation_key, told
from visionality.web.policy.models import OrganisationKey

_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A sign-on as somebody wants it. Without a secret the one that is there stays."""

    title: str
    issuer: str
    client_id: str
    secret: str
    domains: tuple[str, ...] = ()
    joins_as: tuple[str, ...] = ()
    """As what somebody of these domains joins without an invitation; nobody does where it is empty."""
    only: bool = False


def set_sign_on(act: Act, keys: KeyProvider, wanted: Wanted) -> SignOn:
    """Let members come in by this issuer from now on."""
    wanted = _checked(wanted)
    there = access_sign_on(act.org_id)
    if there is None and not wanted.secret:
        raise BadName("a client secret is needed")
    if there is not None and there.issuer != wanted.issuer and not wanted.secret:
        raise BadName("another issuer needs its own client secret: that of the earlier one is not sent to it")
    before = _told(_of(there)) if there else {}
    columns = {
        "title": wanted.title,
        "issuer": wanted.issuer,
        "client_id": wanted.client_id,
        "domains": list(wanted.domains),
        "joins": bool(wanted.joins_as),
        "joins_as": list(wanted.joins_as),
        "set_at": act.now,
    }
    if wanted.secret:
        kek, record = organisation_key(act, keys)
        context = sign_on_context(act.org_id, record.id, record.generation)
        columns |= {"sealed": seal(kek, context, wanted.secret.encode()), "organisation_key_id": record.id}
    made, _ = SignOn.objects.update_or_create(org_id=act.org_id, defaults=columns)
    Organisation.objects.filter(pk=act.org_id).update(sign_on_only=wanted.only)
    after = _told(wanted) | ({"secret": "set"} if wanted.secret else {})
    act.record("sign_on_set", told(before, after))
    return made


def remove_sign_on(act: Act) -> None:
    """Nobody comes in by it any more; members with a password or passkey still do."""
    there = access_sign_on(act.org_id)
    if there is None:
        raise Unknown("the organisation has no sign-on of its own")
    before = _told(_of(there))
    there.delete()
    Organisation.objects.filter(pk=act.org_id).update(sign_on_only=False)
    act.record("sign_on_removed", told(before, {}))


def shown(act: Act) -> dict[str, str]:
    """What is set up, without the secret. Raises Unknown."""
    there = access_sign_on(act.org_id)
    if there is None:
        raise Unknown("the organisation has no sign-on of its own: `vis org oidc set` sets one up")
    return _told(_of(there))


def client_secret(keys: KeyProvider, sign_on: SignOn) -> str:
    """What the issuer knows us by. Within `organisation_context`."""
    record = OrganisationKey.objects.get(org_id=sign_on.org_id, id=sign_on.organisation_key_id)
    kek = keys.unwrap(key_context(sign_on.org_id, record.id, record.generation), bytes(record.wrapped))
    context = sign_on_context(sign_on.org_id, record.id, record.generation)
    return unseal(kek, context, bytes(sign_on.sealed)).decode()


def callback_path(org_id: UUID) -> str:
    """The path that the issuer sends people back to: its redirect URI, without the address of the pages."""
    return f"/login/company/{org_id}/callback"


def _checked(wanted: Wanted) -> Wanted:
    domains = tuple(sorted({one.strip().lower().removeprefix("@") for one in wanted.domains if one.strip()}))
    for one in domains:
        if not _DOMAIN.fullmatch(one):
            raise BadName(f"{one!r} is no domain: expected one such as example.com")
    if wanted.joins_as and not domains:
        raise BadName("joining without an invitation is for domains: name them")
    for what, value, most in (("a title", wanted.title, 80), ("a client id", wanted.client_id, 191)):
        if not value.strip() or len(value) > most or not value.isprintable():
            raise BadName(f"expected {what} of 1 to {most} printable characters")
    return Wanted(
        wanted.title.strip(),
        _issuer(wanted.issuer.strip()),
        wanted.client_id.strip(),
        wanted.secret.strip(),
        domains,
        tuple(checked_roles(wanted.joins_as)) if wanted.joins_as else (),
        wanted.only,
    )


def _issuer(url: str) -> str:
    """OpenID Connect Discovery 1.0, section 3: https, no query, no fragment; here on loopback http too."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    plain = url.isprintable() and not set(url) & set(" ?#@") and len(url) <= 400
    if not plain or not host or is_refused(host):
        raise BadName(f"{url!r} is no issuer: expected an address such as https://login.example.com/tenant")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise BadName(f"{url!r} is no issuer: expected an address that starts with https://")
    return url


def _of(there: SignOn) -> Wanted:
    return Wanted(
        there.title,
        there.issuer,
        there.client_id,
        "",
        tuple(there.domains),
        tuple(there.joins_as if there.joins else ()),
        there.org.sign_on_only,
    )


def _told(wanted: Wanted) -> dict[str, str]:
    """What the audit log says of it."""
    return {
        "title": wanted.title,
        "issuer": wanted.issuer,
        "client_id": wanted.client_id,
        "domains": " ".join(wanted.domains),
        "joins_as": " ".join(wanted.joins_as),
        "only": "yes" if wanted.only else "no",
    }
