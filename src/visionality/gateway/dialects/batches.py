"""Batches on the wire: OpenAI's with the files that they read and write, and Anthropic's. What they answer costs nothing.

Sources: openai-python 3.54 and anthropic-sdk-python 2.12, the types of batches and files; the vendors' guides, "Batch
API" and "Batch processing" (November 2026). The lines of a batch are in the formats of single calls.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.body import BadBody
from visionality.core.call import Ask, Headers, Request, clean
from visionality.core.usage import Metered, Usage
from visionality.gateway.dialects._core import NOT_JSON, JsonOverSse
from visionality.gateway.dialects.form import form_of
from visionality.gateway.dialects.member import is_each_once, members_of
from visionality.gateway.dialects.messages import Messages
from visionality.gateway.dialects.openai_errors import OpenAIErrors
from visionality.gateway.dialects.typed_stream import Unanswered

_NOTHING = Metered(Usage(), "none")
_MESSAGES = Messages()


class _Batch(msgspec.Struct):
    """A batch object of either vendor: `object` and `status` are OpenAI's, `type` and `processing_status` Anthropic's."""

    id: str
    object: str = ""
    status: str = ""
    type: str = ""
    processing_status: str = ""


_batch = msgspec.json.Decoder(_Batch).decode


class _Unmetered(JsonOverSse):
    """No model is asked, and no answer says a usage."""

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:  # noqa: ARG002
        return Ask(None, stream=False, output_limit=None)

    def reader(self, ask: Ask) -> Unanswered:  # noqa: ARG002
        return Unanswered(lambda _: _NOTHING)


class Files(OpenAIErrors, _Unmetered):
    """`POST /v1/files` and what stands behind it."""

    name = "files"

    def document(self, request: Request) -> dict[str, Any]:
        return form_of(request)

    def metered_body(
        self,
        body: bytes,  # noqa: ARG002
        document: Mapping[str, Any],  # noqa: ARG002
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        return _NOTHING


class Batches(OpenAIErrors, _Unmetered):
    """`POST /v1/batches` and what stands behind it."""

    name = "batches"

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],  # noqa: ARG002
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        said = _read(body)
        return _goes_on(said.id, said.status) if said is not None and said.object == "batch" else None


class MessageBatches(_Unmetered):
    """`POST /v1/messages/batches` and what stands behind it."""

    name = "message_batches"

    def document(self, request: Request) -> dict[str, Any]:
        """The requests as they are written: each is read by itself when it is weighed, so there may be many."""
        try:
            members = members_of(request.body)
        except NOT_JSON as error:
            raise BadBody("bad_request", f"the body must be a JSON object: {error}") from None
        if not is_each_once(request.body, members):
            raise BadBody("duplicate_json_name", "the body has an object with the same name twice")
        return {"requests": members.get("requests", msgspec.Raw(b"null"))}

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],  # noqa: ARG002
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        said = _read(body)
        is_one = said is not None and said.type == "message_batch"
        return _goes_on(said.id, said.processing_status) if said is not None and is_one else None

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:
        return _MESSAGES.error(status, code, message, request_id)

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        return _MESSAGES.stream_error(code, message, request_id)


def _read(body: bytes) -> _Batch | None:
    try:
        return _batch(body)
    except NOT_JSON:
        return None


def _goes_on(batch_id: str, status: str) -> Metered | None:
    """What an answer says of a batch: where to ask for it again, and how far it is."""
    answer_id = clean(batch_id, 200)
    if answer_id is None:
        return None
    return Metered(Usage(), "none", finish=clean(status, 60), answer_id=answer_id)
