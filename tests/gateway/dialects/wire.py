"""The wire fixtures: one file a situation, with a request, the vendor's answer, and what is to be read from it.

They are of our own making, in the shape that the vendors document. A file has a sentence, then the sections
`-- request --`, `-- answer --` and `-- expected --`.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from gateway.dialects import frames
from visionality.core.call import Headers
from visionality.core.sse import Events
from visionality.core.usage import Metered
from visionality.gateway.dialects import DIALECTS, Dialect

FOLDER = Path(__file__).parents[2] / "fixtures" / "wire"
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


@dataclass(frozen=True)
class Wire:
    """One situation."""

    name: str
    request: bytes
    answer: bytes
    expected: dict[str, Any]
    headers: Headers = ()
    in_frames: bool = False

    @property
    def dialect(self) -> Dialect:
        return next(dialect for dialect in DIALECTS if dialect.name == self.expected["dialect"])

    @property
    def document(self) -> dict[str, Any]:
        return msgspec.json.decode(self.request)

    @property
    def streams(self) -> bool:
        asked = self.document.get("stream") is True or self.document.get("stream_format") == "sse"
        return asked or self.expected["dialect"] in STREAMED or self.in_frames

    @property
    def terminal(self) -> re.Pattern[bytes] | frames.Ending:
        return frames.Ending() if self.in_frames else re.compile(TERMINAL[self.expected["dialect"]])

    def events(self) -> list[bytes]:
        """The answer, event by event."""
        return frames.split(self.answer) if self.in_frames else Events().feed(self.answer)

    def reader(self):
        return self.dialect.reader(self.dialect.ask(self.document, self.document.get("model", "m")))


def _read(path: Path) -> Wire:
    found = _SECTIONS.fullmatch(path.read_bytes())
    assert found, f"{path} is no wire fixture"
    _, request, answer, expected = found.groups()
    if path.parent.name == "bedrock":
        headers, body = frames.headed(answer)
        in_frames = frames.is_written(body)
        answer = frames.made(body) if in_frames else body
        name = f"bedrock/{path.stem}"
        return Wire(name, request, answer, msgspec.json.decode(expected), headers, in_frames)
    wire = Wire(str(path.relative_to(FOLDER))[:-4], request, answer, msgspec.json.decode(expected))
    broken = path.stem.endswith("_aborted")
    return wire if broken or not wire.streams else replace(wire, answer=answer + b"\n")


ALL = tuple(_read(path) for path in sorted(FOLDER.rglob("*.txt")))
STREAMS = tuple(wire for wire in ALL if wire.streams)
BODIES = tuple(wire for wire in ALL if not wire.streams)


def named(name: str) -> Wire:
    return next(wire for wire in ALL if wire.name == name)


def told(metered: Metered) -> dict[str, Any]:
    """What was read, in the words of a fixture; the dialect and the raw usage left out."""
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
