"""OpenAI Images on the wire.

Source: openai-openapi "Create image" and "Create image edit", openai-python. GPT image models report tokens, text and
pictures apart, in the body or in the `…completed` event of a stream; DALL·E reports nothing and is billed by the piece.
An edit is a form, or JSON that refers to uploaded pictures. The answer does not name its model.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.body import parsed
from visionality.core.call import Ask, Headers, Request, asked_model, clean, token_limit
from visionality.core.usage import Metered, Usage, UsageSource, count, counted
from visionality.gateway.dialects._core import NOT_JSON, JsonOverSse, counts_of, raw_text, stated_cost
from visionality.gateway.dialects.form import form_of, is_form, is_yes, whole
from visionality.gateway.dialects.member import members_of
from visionality.gateway.dialects.openai_errors import OpenAIErrors
from visionality.gateway.dialects.reach import images_reach
from visionality.gateway.dialects.typed_stream import TypedStream, reported_tokens

PICTURE_LIMIT = 64 * 1024 * 1024
"""Bytes of one event: a whole picture is in it, in base64."""

_decode = msgspec.json.Decoder().decode
_LAST = frozenset({"image_generation.completed", "image_edit.completed"})
_PARTS = ("text_tokens", "image_tokens")


class Images(OpenAIErrors, JsonOverSse):
    """`POST /v1/images/generations` and `POST /v1/images/edits`."""

    name = "images"

    def document(self, request: Request) -> dict[str, Any]:
        return form_of(request) if is_form(request.headers) else parsed(request.body, request.preview)

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        """A request may leave its model to OpenAI; what it costs is then not known."""
        if model is None and document.get("model") is not None:
            model = asked_model(document)
        pictures = token_limit(whole(document.get("n")), "n") or 1
        stream, reach = is_yes(document.get("stream")), images_reach(document)
        return Ask(model, stream, output_limit=None, answers=pictures, reach=reach)

    def reader(self, ask: Ask) -> "ImagesStream":
        return ImagesStream(_LAST, ask.answers, PICTURE_LIMIT)

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],  # noqa: ARG002
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        try:
            members = members_of(body)
            pictures = len(msgspec.json.decode(members["data"], type=list[msgspec.Raw]))
            said: dict[str, Any] = {
                name: _decode(members[name]) for name in ("usage", "model", "svg_usage") if name in members
            }
        except (KeyError, *NOT_JSON):
            return None
        return _metered([said], "provider_final") or _estimated(
            pictures, said.get("model"), "no usage in the answer"
        )


class ImagesStream(TypedStream):
    """Pictures, each after its drafts."""

    def metered(self, document: Mapping[str, Any]) -> Metered:
        source: UsageSource = "provider_final" if self.complete and not self.failed else "provider_partial"
        metered = _metered(self.said, source)
        if metered is None:
            pictures = counted(whole(document.get("n"))) or 1
            metered = _estimated(pictures, None, "no usage in the answer" if self.said else None)
        return msgspec.structs.replace(metered, finish="upstream_error") if self.failed else metered


def _metered(said: list[dict[str, Any]], source: UsageSource) -> Metered | None:
    """What the answers report together; None when one of them reports nothing, or there is none."""
    reports = [report for answer in said if (report := reported_tokens(answer)) is not None]
    if not reports or len(reports) < len(said):
        return None
    problems: list[str] = []
    usage = sum((_usage(reported, problems) for reported in reports), Usage())
    if any(answer.get("svg_usage") for answer in said):
        problems.append("another model took part, and its tokens are not in the sum")
    return Metered(
        usage,
        source,
        clean(said[-1].get("model"), 200),
        raw_usage=raw_text(reports[-1]),
        problem="; ".join(problems) or None,
        stated_usd=stated_cost(reports[-1]) if len(reports) == 1 else None,
    )


def _usage(reported: Mapping[str, Any], problems: list[str]) -> Usage:
    read, made = count(reported.get("input_tokens")), count(reported.get("output_tokens"))
    (total,) = counts_of(reported, ("total_tokens",), problems)
    text, pictures = counts_of(reported.get("input_tokens_details"), _PARTS, problems)
    said, drawn = counts_of(reported.get("output_tokens_details"), _PARTS, problems)
    if not text + pictures:
        text = read
    if not said + drawn:
        drawn = made
    if not read:
        problems.append("no input is reported")
    if text + pictures != read:
        problems.append(f"the input adds up to {text + pictures}, input_tokens says {read}")
    if said + drawn != made:
        problems.append(f"the output adds up to {said + drawn}, output_tokens says {made}")
    if total != read + made and counted(reported.get("total_tokens")) is not None:
        problems.append(f"input and output add up to {read + made}, total_tokens says {total}")
    return Usage(in_text=text, in_image=pictures, out_text=said, out_image=drawn)


def _estimated(pictures: int, model: object, problem: str | None) -> Metered:
    """What nobody reported in tokens is counted in pictures. They have no price but the one that an operator sets."""
    return Metered(Usage(images=max(1, pictures)), "tokenizer_estimate", clean(model, 200), problem=problem)
