"""OpenAI Embeddings on the wire: what goes in is all that is billed.

Source: openai-openapi "Create embeddings", openai-python. The input is a text, a list of texts, or tokens in one or
more lists; the vectors come as numbers or in base64, and are not looked at.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Headers, asked_model, clean
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, count, counted
from visionality.gateway.dialects._core import NOT_JSON, JsonOverSse, counts_of, raw_text, stated_cost
from visionality.gateway.dialects.member import members_of
from visionality.gateway.dialects.openai_errors import OpenAIErrors
from visionality.gateway.dialects.reach import embeddings_reach
from visionality.gateway.dialects.text import request_text
from visionality.gateway.dialects.typed_stream import Unanswered

_decode = msgspec.json.Decoder().decode


class Embeddings(OpenAIErrors, JsonOverSse):
    """`POST /v1/embeddings`."""

    name = "embeddings"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        reach = embeddings_reach(document)
        return Ask(model or asked_model(document), stream=False, output_limit=0, reach=reach)

    def reader(self, ask: Ask) -> Unanswered:  # noqa: ARG002
        return Unanswered(_estimated)

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        try:
            members = members_of(body)
            if not bytes(members["data"]).startswith(b"["):
                return None
            reported, model = (_decode(members.get(name, b"null")) for name in ("usage", "model"))
        except (KeyError, *NOT_JSON):
            return None
        if isinstance(reported, dict) and counted(reported.get("prompt_tokens")) is not None:
            return _metered(reported, clean(model, 200))
        estimated = _estimated(document)
        return msgspec.structs.replace(estimated, model=clean(model, 200), problem="no usage in the answer")


def _metered(reported: dict[str, Any], model: str | None) -> Metered:
    read = count(reported.get("prompt_tokens"))
    problems: list[str] = []
    (total,) = counts_of(reported, ("total_tokens",), problems)
    if not read:
        problems.append("no input is reported")
    if total != read and counted(reported.get("total_tokens")) is not None:
        problems.append(f"prompt_tokens is {read}, total_tokens says {total}")
    problem = "; ".join(problems) or None
    return Metered(
        Usage(embed=read),
        "provider_final",
        model,
        raw_usage=raw_text(reported),
        problem=problem,
        stated_usd=stated_cost(reported),
    )


def _estimated(document: Mapping[str, Any]) -> Metered:
    return Metered(Usage(embed=_tokens(document.get("input"))), "tokenizer_estimate")


def _tokens(asked: object) -> int:
    """How many tokens an input is: those that it lists, and our count of its texts."""
    items = asked if isinstance(asked, list) else [asked]
    listed = 0
    texts = []
    for item in items:
        if isinstance(item, int):
            listed += 1
        elif isinstance(item, list):
            listed += len(item)
        else:
            texts.append(request_text(item))
    return listed + sum(map(estimated_tokens, texts))
