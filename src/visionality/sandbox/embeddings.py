"""OpenAI Embeddings and Moderations as OpenAI speaks them (openai-openapi, openai-python 3.54).

The vectors mean nothing, and nothing is ever flagged.
"""

import base64
import struct
from dataclasses import dataclass
from typing import Final

import msgspec

from visionality.sandbox.chat_completions import ChatCompletions, checked_model
from visionality.sandbox.dialect import Call
from visionality.sandbox.form import fields_of
from visionality.sandbox.generation import Generation, count_words
from visionality.sandbox.plan import Plan

VECTOR: Final = (0.25, -0.5, 0.125, 1.0)
IN_BASE64: Final = base64.b64encode(struct.pack("<4f", *VECTOR)).decode()
MODERATOR: Final = "omni-moderation-latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsCall(Call):
    in_base64: bool


class Embeddings(ChatCompletions):
    """The dialect of `POST /v1/embeddings`."""

    def read(self, body: bytes) -> EmbeddingsCall:
        request = fields_of(body)
        asked = request.get("input")
        inputs = (
            asked if isinstance(asked, list) and not all(isinstance(one, int) for one in asked) else [asked]
        )
        return EmbeddingsCall(
            model=checked_model(request.get("model")),
            streams=False,
            input_tokens=max(1, sum(map(_tokens, inputs))),
            max_tokens=None,
            service_tier="default",
            answers=len(inputs),
            in_base64=request.get("encoding_format") == "base64",
        )

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        assert isinstance(call, EmbeddingsCall)
        vector = IN_BASE64 if call.in_base64 else VECTOR
        fields: dict[str, object] = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector} for index in range(call.answers)
            ],
            "model": plan.served_model or call.model,
        }
        if not plan.omit_usage:
            fields["usage"] = plan.usage or {
                "prompt_tokens": call.input_tokens,
                "total_tokens": call.input_tokens,
            }
        return msgspec.json.encode(fields | plan.extra)


class Moderations(ChatCompletions):
    """The dialect of `POST /v1/moderations`."""

    def read(self, body: bytes) -> Call:
        model = checked_model(fields_of(body).get("model") or MODERATOR)
        return Call(model, streams=False, input_tokens=0, max_tokens=None, service_tier="default")

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        scores = {"violence": 0.0}
        result = {"flagged": False, "categories": {"violence": False}, "category_scores": scores}
        fields = {"id": f"modr-{serial}", "model": call.model, "results": [result]}
        return msgspec.json.encode(fields | plan.extra)


def _tokens(asked: object) -> int:
    return len(asked) if isinstance(asked, list) else count_words(asked)
