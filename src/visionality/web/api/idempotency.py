"""A write that is asked for twice is done once (the `Idempotency-Key` header).

The answer is kept for a day in the transaction of the write, sealed, with the hash of the request. What was refused did
nothing and is not kept: it may be asked for again under its key.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.http import HttpRequest, HttpResponse

from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements
from visionality.vault.purposes import answer_context, organisation_context
from visionality.vault.sealing import seal, unseal
from visionality.web.api.bearer import Ask
from visionality.web.api.problem import Problem
from visionality.web.plane import plane
from visionality.web.policy.acts import Act, organisation_key
from visionality.web.policy.models import OrganisationKey

KEPT_FOR = timedelta(hours=24)
_KEY = re.compile(r"[!-~]{1,200}")
_SQL = statements("visionality.web.api", "idempotency.sql")


class _Kept(msgspec.Struct):
    """An answer at rest."""

    status: int
    headers: dict[str, str]
    content: bytes


def once(ask: Ask, answered: Callable[[], HttpResponse]) -> HttpResponse:
    """The answer to a write, or the one that it had before. Raises Problem for a key that was used for something else."""
    key = ask.request.headers.get("idempotency-key")
    if key is None:
        return answered()
    if not _KEY.fullmatch(key):
        raise Problem(422, "Idempotency-Key: expected 1 to 200 printable ASCII characters without spaces")
    asked = _sha256(ask.request)
    named = {"org_id": ask.act.org_id, "token_id": ask.token_id, "key": key}
    _run("sweep", {"org_id": ask.act.org_id, "before": ask.act.now - KEPT_FOR})
    claim = {**named, "id": uuid7(), "request_sha256": asked, "now": ask.act.now}
    if not (claimed := _run("claim", claim)):
        ((request_id, sha256, answer, kek_id),) = _run("taken", named)
        if bytes(sha256) != asked:
            raise Problem(
                422,
                "this Idempotency-Key was used for another request in the last 24 hours: choose a new one",
            )
        return _again(ask.act, request_id, bytes(answer), kek_id)
    response = answered()
    _keep(ask.act, claimed[0][0], response)
    return response


def _keep(act: Act, request_id: UUID, response: HttpResponse) -> None:
    kek, record = organisation_key(act, plane().keys)
    kept = msgspec.msgpack.encode(_Kept(response.status_code, dict(response.items()), response.content))
    context = answer_context(act.org_id, request_id, record.id, record.generation)
    answer = {"answer": seal(kek, context, kept), "organisation_key_id": record.id}
    _run("answer", {"org_id": act.org_id, "id": request_id, **answer})


def _again(act: Act, request_id: UUID, answer: bytes, kek_id: UUID) -> HttpResponse:
    record = OrganisationKey.objects.get(org_id=act.org_id, id=kek_id)
    named = organisation_context(act.org_id, record.id, record.generation)
    kek = plane().keys.unwrap(named, bytes(record.wrapped))
    context = answer_context(act.org_id, request_id, record.id, record.generation)
    kept = msgspec.msgpack.decode(unseal(kek, context, answer), type=_Kept)
    return HttpResponse(
        kept.content, status=kept.status, headers=kept.headers | {"Idempotent-Replay": "true"}
    )


def _sha256(request: HttpRequest) -> bytes:
    parts = (request.method or "", request.get_full_path(), request.content_type or "")
    said = hashlib.sha256("\n".join(parts).encode() + b"\n")
    said.update(request.body)
    return said.digest()


def _run(query: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_SQL[query], given)
        return list(cursor.fetchall()) if cursor.description else []
