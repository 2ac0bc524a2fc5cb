"""OpenAI Images as OpenAI speaks it (openai-openapi, openai-python 3.54). There is no picture in what it answers.

GPT image models report tokens, and stream; DALL·E does neither.
"""

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from visionality.sandbox.chat_completions import ChatCompletions, checked_model
from visionality.sandbox.dialect import Call
from visionality.sandbox.form import fields_of
from visionality.sandbox.generation import Generation, count_words
from visionality.sandbox.plan import Plan
from visionality.sandbox.stream import Event, Part

PICTURE: Final = base64.b64encode(b"simulated: this is no picture").decode()
TOKENS_A_PICTURE: Final = 1056
LOOKS: Final = {"background": "opaque", "output_format": "png", "quality": "medium", "size": "1024x1024"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesCall(Call):
    drafts: int
    reads_a_picture: bool


class Images(ChatCompletions):
    """The dialect of `POST /v1/images/generations` and, as `image_edit`, of `…/edits`."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def read(self, body: bytes) -> ImagesCall:
        request = fields_of(body)
        return ImagesCall(
            model=checked_model(request.get("model") or "dall-e-2"),
            streams=request.get("stream") in {True, "true"},
            input_tokens=max(1, count_words(request.get("prompt"))),
            max_tokens=None,
            service_tier="default",
            answers=int(request.get("n") or 1),
            drafts=int(request.get("partial_images") or 0),
            reads_a_picture="image" in request or "image[]" in request,
        )

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        data = [{"b64_json": PICTURE} for _ in range(call.answers)]
        fields: dict[str, Any] = {"created": int(time.time()), "data": data}
        if usage := _usage(call, plan, call.answers):
            fields |= LOOKS | {"usage": usage}
        return msgspec.json.encode(fields | plan.extra)

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:  # noqa: ARG002
        assert isinstance(call, ImagesCall)
        for _ in range(call.answers):
            for index in range(call.drafts):
                yield self._event(Part.DELTA, "partial_image", plan, {"partial_image_index": index})
            usage = _usage(call, plan, 1)
            yield self._event(Part.TERMINAL, "completed", plan, {"usage": usage} if usage else {})

    def _event(self, part: Part, name: str, plan: Plan, more: dict[str, Any]) -> Event:
        kind = f"{self._kind}.{name}"
        fields = {"type": kind, "b64_json": PICTURE, "created_at": int(time.time())} | LOOKS | more
        data = msgspec.json.encode(fields | plan.extra)
        return Event(part, b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n")


def _usage(call: Call, plan: Plan, pictures: int) -> dict[str, object] | None:
    if plan.omit_usage or call.model.startswith("dall-e"):
        return None
    assert isinstance(call, ImagesCall)
    seen = 300 if call.reads_a_picture else 0
    read, drawn = call.input_tokens + seen, TOKENS_A_PICTURE * pictures
    return plan.usage or {
        "input_tokens": read,
        "input_tokens_details": {"text_tokens": call.input_tokens, "image_tokens": seen},
        "output_tokens": drawn,
        "total_tokens": read + drawn,
    }
