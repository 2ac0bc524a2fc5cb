"""What proves keys: services, their binding keys, and the keys that tokens are signed with. No secret is ever read here."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from ninja import Query
from pydantic import Field

from visionality.core.key_document import bytes_of, spelled
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import by, listed, the_one
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_KEYS, WRITE_KEYS
from visionality.web.api.shapes import Given, Key, Listed, Moment, Page, Reason, Reasoned, Told
from visionality.web.issuing import binding_keys, signing_keys
from visionality.web.issuing.models import BindingKey, SigningKey
from visionality.web.issuing.services import add_service
from visionality.web.issuing.services import services as all_services
from visionality.web.plane import plane


class Service(Told):
    id: UUID
    name: str
    x25519: str
    registered_at: Moment
    registered_by: str


class NewService(Given):
    name: Key = Field(examples=["checkout-api"])
    x25519: Annotated[str, Field(max_length=64, examples=["hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"])]
    reason: Reason


class BindingKeyState(Told):
    id: UUID
    service: str
    state: Literal["live", "retiring", "retired", "revoked"]
    thumbprint: str
    made_at: Moment
    retires_at: Moment | None
    revoked_at: Moment | None


class Sealed(Told):
    """A binding key as its service alone can open it."""

    v: Literal[1]
    key_id: str
    service: str
    aud: str
    kem: str
    enc_ct: str
    thumbprint: str


class Overlap(Reasoned):
    overlap_s: Annotated[int, Field(ge=0, le=7 * 24 * 3600)] = 24 * 3600


class SigningKeyState(Told):
    id: UUID
    kid: str
    state: Literal["signs", "verifies", "revoked"]
    made_at: Moment
    active_until: Moment | None
    verify_until: Moment | None
    revoked_at: Moment | None


class PublishedKey(Told):
    kid: str
    alg: str
    public: str
    active_from: Moment
    verify_until: Moment | None
    revoked_at: Moment | None


class KeyDocument(Told):
    v: Literal[1]
    iss: str
    org: str
    issued_at: Moment
    keys: list[PublishedKey]


def _service(one: Any) -> dict[str, Any]:
    names = ("id", "registered_at", "registered_by")
    return {name: getattr(one, name) for name in names} | {
        "name": one.key,
        "x25519": spelled(bytes(one.x25519)),
    }


def _binding_key(ask: Ask, one: BindingKey) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("id", "made_at", "retires_at", "revoked_at")}
    state = binding_keys.state(one, ask.act.now)
    return told | {"service": one.service.key, "state": state, "thumbprint": bytes(one.thumbprint).hex()}


def _signing_key(one: SigningKey) -> dict[str, Any]:
    told = {
        name: getattr(one, name) for name in ("id", "made_at", "active_until", "verify_until", "revoked_at")
    }
    return told | {"kid": signing_keys.kid(one), "state": signing_keys.state(one)}


@API.on("GET", "services", *READ_KEYS, answer=Listed[Service])
def services(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    return listed(ask, map(_service, all_services(ask.act)), by("name"), page)


@API.on("POST", "services", *WRITE_KEYS, answer=Service, status=201)
def register_service(ask: Ask, body: NewService) -> dict[str, Any]:
    """Its key is never replaced: a lost one is a new service under a new name."""
    try:
        public = bytes_of(body.x25519.rstrip("="))
    except ValueError:
        told = "expected the 32 bytes of an X25519 public key in base64url"
        raise Problem(422, f"`x25519`: {told}", [{"field": "x25519", "detail": told}]) from None
    return _service(add_service(ask.act, body.name, public, body.reason))


@API.on("GET", "services/{service_key}", *READ_KEYS, answer=Service)
def service(ask: Ask, service_key: str) -> dict[str, Any]:
    return the_one(map(_service, all_services(ask.act)), "service", name=service_key)


@API.on("POST", "services/{service_key}/binding-keys", *WRITE_KEYS, answer=Sealed, status=201)
def create_binding_key(ask: Ask, service_key: str, body: Reasoned) -> Any:
    """Sealed to the service: nobody else can open it, and it is not shown again."""
    return msgspec.to_builtins(binding_keys.create(ask.act, plane().keys, service_key, body.reason))


@API.on("POST", "services/{service_key}/binding-keys/rotate", *WRITE_KEYS, answer=Sealed)
def rotate_binding_key(ask: Ask, service_key: str, body: Overlap) -> Any:
    overlap = timedelta(seconds=body.overlap_s)
    return msgspec.to_builtins(binding_keys.rotate(ask.act, plane().keys, service_key, overlap, body.reason))


@API.on("GET", "binding-keys", *READ_KEYS, answer=Listed[BindingKeyState])
def list_binding_keys(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """The newest first."""
    found = [_binding_key(ask, one) for one in binding_keys.everything(ask.act)]
    return listed(ask, found, by("id"), page, newest_first=True)


@API.on("POST", "binding-keys/{binding_key_id}/revoke", *WRITE_KEYS, answer=BindingKeyState)
def revoke_binding_key(ask: Ask, binding_key_id: UUID, body: Reasoned) -> dict[str, Any]:
    return _binding_key(ask, binding_keys.revoke(ask.act, str(binding_key_id), body.reason))


@API.on("GET", "signing-keys", *READ_KEYS, answer=Listed[SigningKeyState])
def list_signing_keys(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """The newest first."""
    return listed(ask, map(_signing_key, signing_keys.everything(ask.act)), by("id"), page, newest_first=True)


@API.on("GET", "signing-keys/document", *READ_KEYS, answer=KeyDocument)
def key_document(ask: Ask) -> Any:
    """What a verifier needs to check tokens without asking anybody; not yet signed by the offline root."""
    return msgspec.to_builtins(signing_keys.published(ask.act))


@API.on("POST", "signing-keys/rotate", *WRITE_KEYS, answer=SigningKeyState)
def rotate_signing_key(ask: Ask, body: Reasoned) -> dict[str, Any]:
    return _signing_key(signing_keys.rotate(ask.act, plane().keys, body.reason))


@API.on("POST", "signing-keys/{signing_key_id}/revoke", *WRITE_KEYS, answer=SigningKeyState)
def revoke_signing_key(ask: Ask, signing_key_id: UUID, body: Reasoned) -> dict[str, Any]:
    """What it signed is believed no more; where it was the one that signs, a new one does."""
    return _signing_key(signing_keys.revoke(ask.act, plane().keys, str(signing_key_id), body.reason))
