"""Azure OpenAI as far as it differs from OpenAI: paths, the header of its key, and the filter's results.

Sources: learn.microsoft.com "Content filtering" and "REST API reference", openai-python (`lib/azure.py`). The real one
names the model that a deployment runs; here that is the plan's `served_model`, else the name that the request has.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from visionality.sandbox.audio import Speech, Transcription, Translation
from visionality.sandbox.chat_completions import ChatCompletions, invalid
from visionality.sandbox.dialect import Call, Dialect, Refusal
from visionality.sandbox.embeddings import Embeddings
from visionality.sandbox.generation import Generation
from visionality.sandbox.images import Images
from visionality.sandbox.plan import Plan
from visionality.sandbox.responses import Responses
from visionality.sandbox.stream import Event, Part

SAFE: Final = {"hate": {"filtered": False, "severity": "safe"}}
FILTERED: Final = [{"prompt_index": 0, "content_filter_results": SAFE}]
FILTER_CODE: Final = "content_filter"

_PATH: Final = re.compile(r"/openai/(?:deployments/[^/]+|v1(?!/responses/)|(?=responses$))/?(.+)")


class ApiKey:
    """The credential is a header of its own."""

    def check_headers(self, headers: dict[bytes, bytes]) -> None:
        if not headers.get(b"api-key"):
            raise invalid("Access denied due to invalid subscription key or wrong API endpoint.", status=401)


class AzureChat(ApiKey, ChatCompletions):
    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        fields = msgspec.json.decode(super().answer(call, generation, plan, serial))
        return msgspec.json.encode(fields | {"prompt_filter_results": FILTERED})

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        first: dict[str, Any] = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        first["prompt_filter_results"] = FILTERED
        yield Event(Part.FRAME, b"data: " + msgspec.json.encode(first) + b"\n\n")
        yield from super().events(call, generation, plan, serial)

    def error_body(self, refusal: Refusal, serial: str) -> bytes:
        if refusal.kind != FILTER_CODE:
            return super().error_body(refusal, serial)
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE}
        error = {"message": refusal.message, "type": None, "param": "prompt", "code": FILTER_CODE}
        return msgspec.json.encode({"error": error | {"status": refusal.status, "innererror": inner}})


class AzureEmbeddings(ApiKey, Embeddings): ...


class AzureImages(ApiKey, Images): ...


class AzureSpeech(ApiKey, Speech): ...


class AzureTranscription(ApiKey, Transcription): ...


class AzureTranslation(ApiKey, Translation): ...


class AzureResponses(ApiKey, Responses): ...


CHAT: Final = AzureChat()
DIALECTS: Final[dict[str, Dialect]] = {
    "chat/completions": CHAT,
    "embeddings": AzureEmbeddings(),
    "images/generations": AzureImages("image_generation"),
    "images/edits": AzureImages("image_edit"),
    "audio/speech": AzureSpeech(),
    "audio/transcriptions": AzureTranscription(),
    "audio/translations": AzureTranslation(),
    "responses": AzureResponses(),
}


def dialect_of(path: str) -> Dialect | None:
    """The dialect of a path of Azure's, or None."""
    found = _PATH.fullmatch(path)
    return DIALECTS.get(found[1]) if found else None
