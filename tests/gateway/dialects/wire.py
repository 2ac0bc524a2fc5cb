"""The wire fixtures: one file a situation, with a request, the vendor's answer, and what is to be read from it.

They are of our own making, in the shape that the vendors document. A file has a sentence, then the sections
`-- request --`, `-- answer --` and `-- expected --`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from visionality.core.usage import Metered
from visionality.gateway.dialects import DIALECTS, Dialect

FOLDER = Path(__file__).parents[2] / "fixtures" / "wire"
_SECTIONS = re.compile(rb"(.+?)\n-- request --\n(.+?)\n-- answer --\n(.*?)\n?-- expected --\n(.+)", re.DOTALL)


@dataclass(frozen=True)
class Wire:
    """One situation."""

    name: str
    request: bytes
    answer: bytes
    expected: dict[str, Any]

    @property
    def dialect(self) -> Dialect:
        return next(dialect for dialect in DIALECTS if dialect.name == self.expected["dialect"])

    @property
    def document(self) -> dict[str, Any]:
        return msgspec.json.decode(self.request)

    @property
    def streams(self) -> bool:
        return self.document.get("stream") is True

    def reader(self):
        return self.dialect.reader(self.dialect.ask(self.document))


def _read(path: Path) -> Wire:
    found = _SECTIONS.fullmatch(path.read_bytes())
    assert found, f"{path} is no wire fixture"
    _, request, answer, expected = found.groups()
    broken = path.stem.endswith("_aborted")
    ending = b"" if broken or not msgspec.json.decode(request).get("stream") else b"\n"
    return Wire(str(path.relative_to(FOLDER))[:-4], request, answer + ending, msgspec.json.decode(expected))


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
