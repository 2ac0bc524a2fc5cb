"""What Gemini's answers report, in disjoint buckets.

Source: ai.google.dev, "UsageMetadata", "Gemini API pricing", "Priority inference" and "Grounding with Google Search"
(October 2026), python-genai 3.4. `promptTokenCount` includes what was read from a cache; `toolUsePromptTokenCount` and
`thoughtsTokenCount` stand beside the other counts, unless `totalTokenCount` shows that the thoughts are among the
candidates' tokens. Counts of zero are left out (protobuf's JSON). Documents are priced as images.

Searches are billed per prompt up to Gemini 2.5, and per search from Gemini 3 on, where the same query counts once and
an empty one not at all. What is free of them in a day or month no answer says, so each is counted.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from visionality.core.call import clean
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, UsageSource, count, counted
from visionality.gateway.dialects._core import counts_of, raw_text
from visionality.gateway.dialects.text import request_text

IMAGE_TOKENS = 1290
"""Tokens of one image that was made (gemini-2.5-flash-image, up to 1024 by 1024; newer models are close to it)."""
SEARCHES_KEPT = 1000
CANDIDATES_KEPT = 64
"""More candidates or different searches than any answer has."""

_encode = msgspec.json.Encoder().encode
_COUNTS = (
    "promptTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
)
_IMAGE, _AUDIO, _VIDEO = range(3)
_MODALITIES = {"IMAGE": _IMAGE, "DOCUMENT": _IMAGE, "AUDIO": _AUDIO, "VIDEO": _VIDEO}
_GENERATION = re.compile(r"gemini-(?:live-)?(\d+)")
_PER_PROMPT_UP_TO = 2


class Answer(msgspec.Struct, rename="camel"):
    """A GenerateContentResponse or a chunk of one, as far as it is read. A stranger's members can be of any type."""

    candidates: Any = None
    prompt_feedback: Any = None
    usage_metadata: Any = None
    model_version: Any = None
    error: Any = None


read = msgspec.json.Decoder(Answer).decode
"""Raises what `_core.NOT_JSON` names for anything but an object."""


class Report:
    """What the chunks of an answer have said so far; a blocking answer is a single chunk."""

    def __init__(self, asked: str | None = None) -> None:
        self.usage: dict[str, Any] = {}
        self.finish: str | None = None
        self._asked = asked
        self._model: str | None = None
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._blocked = False
        self._searches: set[str] = set()
        self._problems: set[str] = set()

    def add(self, chunk: Answer) -> None:
        """Counts are cumulative: the last one that is there wins."""
        if isinstance(chunk.usage_metadata, dict):
            self.usage |= {name: value for name, value in chunk.usage_metadata.items() if value is not None}
        if model := clean(chunk.model_version, 200):
            self._model = model.removeprefix("models/")
        for candidate in _objects(chunk.candidates):
            self._add_candidate(candidate)
        feedback = chunk.prompt_feedback
        if isinstance(feedback, dict) and (reason := clean(feedback.get("blockReason"), 60)):
            self._blocked = True
            self.finish = self.finish or reason
        if chunk.error is not None:
            self.finish = "upstream_error"

    @property
    def ended(self) -> bool:
        """Whether every candidate has said why it stopped, or the prompt was blocked."""
        return self._blocked or (bool(self._finished) and self._seen <= self._finished)

    def reports(self, emitted: Callable[[], Usage]) -> bool:
        """Whether the counts are whole: those of the input, and of the output where there is any."""
        if counted(self.usage.get("promptTokenCount")) is None:
            return False
        said = count(self.usage.get("candidatesTokenCount")) or count(self.usage.get("thoughtsTokenCount"))
        return said > 0 or not emitted().output_tokens

    def metered(self, source: UsageSource) -> Metered:
        """The provider's own counts."""
        usage, problems = usage_of(self.usage)
        searches = self._web_searches()
        problems += sorted(self._problems)
        usage = msgspec.structs.replace(usage, web_search=searches)
        return self._told(usage, source, "; ".join(problems) or None)

    def estimated(self, document: Mapping[str, Any], emitted: Usage, problem: str | None) -> Metered:
        """What is known of the input, else our count of it; of the output, the larger of report and our count."""
        known, _ = usage_of(self.usage)
        if not known.total_input_tokens:
            known = msgspec.structs.replace(known, in_text=asked_tokens(document))
        if known.output_tokens < emitted.output_tokens:
            known = msgspec.structs.replace(
                known, out_text=emitted.out_text, out_image=emitted.out_image, out_audio=0, out_reasoning=0
            )
        usage = msgspec.structs.replace(known, web_search=self._web_searches())
        return self._told(usage, "tokenizer_estimate", problem)

    def _told(self, usage: Usage, source: UsageSource, problem: str | None) -> Metered:
        tier = _tier(self.usage)
        return Metered(usage, source, self._model, tier, raw_text(self.usage), self.finish, problem)

    def _add_candidate(self, candidate: Mapping[str, Any]) -> None:
        index = min(count(candidate.get("index")), CANDIDATES_KEPT)
        self._seen.add(index)
        if reason := clean(candidate.get("finishReason"), 60):
            self._finished.add(index)
            if index == 0 or self.finish is None:
                self.finish = reason
        if isinstance(grounding := candidate.get("groundingMetadata"), dict):
            self._add_grounding(grounding)

    def _add_grounding(self, grounding: Mapping[str, Any]) -> None:
        for name in ("webSearchQueries", "imageSearchQueries"):
            queries = grounding.get(name)
            for query in queries if isinstance(queries, list) else ():
                if isinstance(query, str) and query and len(self._searches) < SEARCHES_KEPT:
                    self._searches.add(query)
                    if name == "imageSearchQueries":
                        self._problems.add("searches for images are counted as web searches")
        if any("maps" in chunk for chunk in _objects(grounding.get("groundingChunks"))):
            self._problems.add("grounding with Google Maps is not in the sum")

    def _web_searches(self) -> int:
        """How many searches are billed; of a model of no known generation, each one, which is said."""
        generation = _GENERATION.match(self._model or self._asked or "")
        if generation and int(generation[1]) <= _PER_PROMPT_UP_TO:
            return min(1, len(self._searches))
        if self._searches and not generation:
            self._problems.add("each search is counted, because the model's generation is not known")
        return len(self._searches)


def usage_of(reported: Mapping[str, Any]) -> tuple[Usage, list[str]]:
    """The disjoint buckets of a report, and what in it contradicts itself."""
    problems: list[str] = []
    prompt, cached, tool, said, thought, total = counts_of(reported, _COUNTS, problems)
    beside = prompt + tool + said + thought
    if counted(reported.get("totalTokenCount")) is not None and total != beside:
        if thought <= said and total == beside - thought:
            said -= thought
        else:
            problems.append(f"the counts add up to {beside}, totalTokenCount says {total}")
    asked = _modalities(reported, "promptTokensDetails", prompt, problems)
    kept = _modalities(reported, "cacheTokensDetails", cached, problems)
    made = _modalities(reported, "candidatesTokensDetails", said, problems)
    fresh = [max(0, whole - part) for whole, part in zip(asked, kept, strict=True)]
    in_text, in_image, in_audio, in_video = _apportioned(max(0, prompt - cached), fresh)
    read_text, read_image, read_audio, read_video = _apportioned(cached, kept)
    out_text, out_image, out_audio, out_video = _apportioned(said, made)
    if not prompt:
        problems.append("no input is reported")
    if cached > prompt:
        problems.append(f"cachedContentTokenCount is {cached}, promptTokenCount says {prompt}")
    if out_video:
        problems.append("video that was made is counted as text")
    usage = Usage(
        in_text=in_text,
        in_image=in_image,
        in_audio=in_audio,
        in_video=in_video,
        in_tool=tool,
        cache_read=read_text + read_video,
        cache_read_audio=read_audio,
        cache_read_image=read_image,
        out_text=out_text + out_video,
        out_reasoning=thought,
        out_audio=out_audio,
        out_image=out_image,
    )
    return usage, problems


def embedded(reported: Mapping[str, Any]) -> Metered:
    """What an embedding's report counts. Its details have a name of their own, `promptTokenDetails`."""
    problems: list[str] = []
    (prompt,) = counts_of(reported, ("promptTokenCount",), problems)
    name = "promptTokenDetails" if "promptTokenDetails" in reported else "promptTokensDetails"
    text, image, audio, video = _apportioned(prompt, _modalities(reported, name, prompt, problems))
    if not prompt:
        problems.append("no input is reported")
    usage = Usage(embed=text, in_image=image, in_audio=audio, in_video=video)
    problem = "; ".join(problems) or None
    return Metered(usage, "provider_final", None, _tier(reported), raw_text(reported), problem=problem)


def asked_tokens(document: Mapping[str, Any]) -> int:
    """Our count of a request's text, in either spelling of its members."""
    names = ("systemInstruction", "system_instruction", "contents", "tools", "content")
    requests = [entry.get("content") for entry in _objects(document.get("requests"))]
    return estimated_tokens(request_text([*(document.get(name) for name in names), *requests]))


def emitted_in(candidates: object) -> Usage:
    """Our count of what candidates say: text and thoughts, calls and their arguments, code, images."""
    text = images = 0
    for candidate in _objects(candidates):
        content = candidate.get("content")
        for part in _objects(content.get("parts") if isinstance(content, dict) else None):
            text += sum(map(estimated_tokens, _said(part)))
            images += "inlineData" in part
    return Usage(out_text=text, out_image=images * IMAGE_TOKENS)


def _said(part: Mapping[str, Any]) -> Iterable[str]:
    if isinstance(part.get("text"), str):
        yield part["text"]
    if isinstance(call := part.get("functionCall"), dict):
        yield f"{call.get('name')} {_encode(call.get('args')).decode()}"
    yield request_text([part.get("executableCode"), part.get("codeExecutionResult")])


def _objects(values: object) -> Iterable[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict)) if isinstance(values, list) else ()


def _modalities(reported: Mapping[str, Any], name: str, whole: int, problems: list[str]) -> list[int]:
    """Tokens of images, audio and video in a count, by its details. What they leave out of it is text."""
    found = [0, 0, 0]
    total = 0
    for entry in _objects(reported.get(name)):
        (number,) = counts_of(entry, ("tokenCount",), problems)
        total += number
        kind = _MODALITIES.get(str(entry.get("modality")).upper())
        if kind is not None:
            found[kind] += number
    if total > whole:
        problems.append(f"{name} add up to {total}, their sum says {whole}")
    return found


def _apportioned(whole: int, parts: list[int]) -> tuple[int, int, int, int]:
    """A count as text, image, audio and video, which never are more than the whole."""
    left, given = whole, []
    for part in parts:
        given.append(min(part, left))
        left -= given[-1]
    return left, given[_IMAGE], given[_AUDIO], given[_VIDEO]


def _tier(reported: Mapping[str, Any]) -> dict[str, str]:
    """The tier that was served: of the Developer API by its name, of Vertex as a kind of traffic."""
    return tier_named(reported.get("serviceTier") or reported.get("trafficType"))


def tier_named(said: object) -> dict[str, str]:
    """A tier as the price book knows it: `SERVICE_TIER_FLEX` and `ON_DEMAND_FLEX` are `flex`."""
    name = (clean(said, 60) or "").lower().removeprefix("service_tier_").removeprefix("on_demand_")
    return {"service_tier": name} if name and not name.endswith("unspecified") else {}
