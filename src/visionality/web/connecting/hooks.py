"""A webhook of a tracker or Git host: it says that something changed, and is asked no further.

All that it does is that jobs read the connector at once. So one that is late, repeated, out of order or lost does no harm,
and nothing that a body says is believed.
"""

import os
from functools import cache
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from visionality.connectors.services import is_signed
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import hook_context, organisation_context
from visionality.vault.sealing import seal, unseal
from visionality.web.accounts.members import open_to_all
from visionality.web.handler import LARGEST_BODY
from visionality.web.plane import plane
from visionality.web.start import organisation_context as organisation

_SQL = statements("visionality.web.connecting", "hooks.sql")
_REFUSED = "this webhook is not signed with the secret of a connector here: `vis connector webhook NAME` makes a new one"


class _Sealed(NamedTuple):
    """A webhook's secret as it is stored."""

    sealed: bytes
    kek_id: UUID
    generation: int
    wrapped: bytes


class _Hook(NamedTuple):
    org_id: UUID
    connector_id: UUID
    kind: str
    secret: _Sealed


@csrf_exempt
@open_to_all
@require_POST
def receive(request: HttpRequest, connector_id: UUID) -> HttpResponse:
    """200 when it is signed as its service signs; else 401, whether or not there is such a connector."""
    body = request.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        return _said(413, f"a webhook has at most {LARGEST_BODY} bytes")
    hook = _found(connector_id)
    known = hook or _decoy()
    headers = {name.lower(): value for name, value in request.headers.items()}
    is_ours = is_signed(known.kind, _opened(plane().keys, known), headers, body)
    if hook is None or not is_ours:
        return _said(401, _REFUSED)
    if request.headers.get("X-GitHub-Event") != "ping":
        with organisation(hook.org_id), connection.cursor() as cursor:
            cursor.execute(_SQL["poke"], {"connector_id": str(connector_id), "now": plane().clock()})
    return _said(200, "taken")


def _found(connector_id: UUID) -> _Hook | None:
    """The connector's webhook, if it has one. One that is not there costs the same questions."""
    values = {"connector_id": str(connector_id)}
    with connection.cursor() as cursor:
        cursor.execute(_SQL["connector"], values)
        org_id, kind = cursor.fetchone() or (UUID(int=0), "")
    with organisation(org_id), connection.cursor() as cursor:
        cursor.execute(_SQL["secret"], values)
        found = cursor.fetchone()
    if found is None:
        return None
    sealed, kek_id, generation, wrapped = found
    return _Hook(org_id, connector_id, kind, _Sealed(bytes(sealed), kek_id, generation, bytes(wrapped)))


def _opened(keys: KeyProvider, hook: _Hook) -> str:
    secret = hook.secret
    kek = keys.unwrap(organisation_context(hook.org_id, secret.kek_id, secret.generation), secret.wrapped)
    context = hook_context(hook.org_id, hook.connector_id, secret.kek_id, secret.generation)
    return unseal(kek, context, secret.sealed).decode()


@cache
def _decoy() -> _Hook:
    """A webhook that nobody has the secret of, so that one which is not there takes as long to refuse."""
    org_id, connector_id, kek_id, kek = uuid7(), uuid7(), uuid7(), os.urandom(32)
    wrapped = plane().keys.wrap(organisation_context(org_id, kek_id, 1), kek)
    sealed = seal(kek, hook_context(org_id, connector_id, kek_id, 1), os.urandom(32).hex().encode())
    return _Hook(org_id, connector_id, "github", _Sealed(sealed, kek_id, 1, wrapped))


def _said(status: int, words: str) -> HttpResponse:
    return HttpResponse(words + "\n", status=status, content_type="text/plain; charset=utf-8")
