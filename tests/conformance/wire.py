"""The wire fixtures of `usage/`, read: a request, the vendor's answer, what is to be read from it and what it costs.

Their format and what is held against them stand in usage/README.md.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from conformance import frames
from visionality.core.call import Headers
from visionality.core.sse import Events
from visionality.core.usage import Metered
from visionality.gateway.batches.endpoints import BY_DIALECT
from visionality.gateway.batches.results import reader_of
from visionality.gateway.dialects import DIALECTS, Dialect
from visionality.gateway.providers import Provider
from visionality.gateway.providers import named as provider_named

FOLDER = Path(__file__).parent / "usage"
_SECTIONS = re.compile(rb"(.+?)\n-- request --\n(.+?)\n-- answer --\n(.*?)\n?-- expected --\n(.+)", re.DOTALL)

TERMINAL = {
    "chat_completions": rb"data: ?\[DONE\]",
    "messages": rb"event: message_stop",
    "responses": rb"event: (?:response\.(?:completed|incomplete|failed)|error)\r?\n",
    "images": rb"event: image_(?:generation|edit)\.completed",
    "speech": rb'data: \{"type":"speech\.audio\.done"',
    "transcription": rb'data: \{"type":"transcript\.text\.done"',
    "gemini_stream": rb"(?s)(?:,.*)?\s*\]\s*\Z",
}
"""What the last event of a stream begins with, by dialect; of Gemini's, only an array has an end of its own."""
STREAMED = {"gemini_stream"}
"""The dialects whose every answer is a stream."""


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fixture says that its call costs: USD, and USD per million units, as decimal strings."""

    prices: str
    model: str
    state: Literal["known", "unknown", "free"]
    rates: dict[str, str] = {}
    usd: str | None = None
    usage: dict[str, int] | None = None
    stated_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, eq=False)
class Wire:
    """One situation."""

    name: str
    request: bytes
    answer: bytes
    expected: dict[str, Any]
    cost: Cost
    headers: Headers = ()
    in_frames: bool = False
    in_batch: bool = False
    """Whether the answer is a line of a batch's results; the request is then what that line asked."""

    @property
    def vendor(self) -> str:
        return self.name.partition("/")[0]

    @property
    def provider(self) -> Provider:
        """Whose answer it is; of the compatible ones, the one of that price list."""
        name = self.cost.prices if self.vendor == "compatible" else self.vendor.partition("_")[0]
        provider = provider_named(name)
        assert provider, f"{name} is no provider"
        return provider

    @property
    def dialect(self) -> Dialect:
        return next(dialect for dialect in DIALECTS if dialect.name == self.expected["dialect"])

    @cached_property
    def document(self) -> dict[str, Any]:
        return msgspec.json.decode(self.request)

    @property
    def asked(self) -> str:
        """The model that the request names; where its path names it, a fixture has the one that is priced."""
        return self.document.get("model", self.cost.model)

    @property
    def billed(self) -> dict[str, int]:
        """The units that the cost is a sum of."""
        return self.cost.usage or self.expected["usage"]

    @property
    def streams(self) -> bool:
        asked = self.document.get("stream") is True or self.document.get("stream_format") == "sse"
        return asked or self.expected["dialect"] in STREAMED or self.in_frames

    @property
    def terminal(self) -> re.Pattern[bytes] | frames.Ending:
        return frames.Ending() if self.in_frames else re.compile(TERMINAL[self.expected["dialect"]])

    def events(self) -> list[bytes]:
        """The answer, event by event; what breaks off amid an event is the last one."""
        if self.in_frames:
            return frames.split(self.answer)
        found = _elements(self.answer) if self.answer.startswith(b"[") else Events().feed(self.answer)
        rest = self.answer[len(b"".join(found)) :]
        return [*found, rest] if rest else found

    def reader(self):
        return self.dialect.reader(self.dialect.ask(self.document, self.asked))

    def read(self) -> Metered:
        """What is read of the whole answer."""
        if self.in_batch:
            line = reader_of(BY_DIALECT[self.dialect.name]).line(self.answer, self.dialect)
            metered = line and line.metered
            assert metered, f"{self.name} is no line of a batch that was answered"
            return metered
        if not self.streams:
            metered = self.dialect.metered_body(self.answer, self.document, self.headers)
            assert metered, f"{self.name} is not of its dialect"
            return metered
        reader = self.reader()
        reader.feed(self.answer)
        return reader.metered(self.document)


def _elements(array: bytes) -> list[bytes]:
    """The elements of a JSON array that may break off, each with what stands before it."""
    text, found, at = array.decode(), [], 0
    with suppress(ValueError):
        while True:
            _, end = json.JSONDecoder().raw_decode(text, text.index("{", at))
            found.append(text[at:end].encode())
            at = end
    return found


def _read(path: Path) -> Wire:
    found = _SECTIONS.fullmatch(path.read_bytes())
    assert found, f"{path} is no wire fixture"
    _, request, answer, said = found.groups()
    expected = msgspec.json.decode(said)
    cost = msgspec.convert(expected.pop("cost"), Cost)
    name = str(path.relative_to(FOLDER))[:-4]
    if path.parent.name == "bedrock":
        headers, body = frames.headed(answer)
        in_frames = frames.is_written(body)
        answer = frames.made(body) if in_frames else body
        return Wire(name, request, answer, expected, cost, headers, in_frames)
    if path.parent.name.endswith("_batches"):
        line = msgspec.json.decode(request)
        asked = msgspec.json.encode(line.get("body") or line["params"])
        return Wire(name, asked, answer, expected, cost, in_batch=True)
    wire = Wire(name, request, answer, expected, cost)
    broken = path.stem.endswith("_aborted")
    return wire if broken or not wire.streams else replace(wire, answer=answer + b"\n")


ALL = tuple(_read(path) for path in sorted(FOLDER.rglob("*.txt")))
STREAMS = tuple(wire for wire in ALL if wire.streams)
BODIES = tuple(wire for wire in ALL if not wire.streams and not wire.in_batch)


def named(name: str) -> Wire:
    return next(wire for wire in ALL if wire.name == name)


def told(metered: Metered) -> dict[str, Any]:
    """What was read, in the words of a fixture; the dialect, the cost and the raw usage left out."""
    return {
        "source": metered.source,
        "model": metered.model,
        "usage": metered.usage.counts(),
        "tier": metered.tier,
        "finish": metered.finish,
        "problem": metered.problem,
    }


def without(names: set[str], values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
