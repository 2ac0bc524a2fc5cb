"""Streams of events that say their `type`, the last of which brings the usage: speech, transcriptions, images.

Source: openai-python, the `…Event` types of `images` and `audio` (3.54).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from visionality.core.sse import EVENT_LIMIT, Events, payload
from visionality.core.usage import Metered, counted
from visionality.gateway.dialects._core import NOT_JSON, TAIL_LIMIT
from visionality.gateway.dialects.member import members_of

_decode = msgspec.json.Decoder().decode

Estimate = Callable[[Mapping[str, Any]], Metered]


class Unanswered:
    """For a format without streams: what a call used whose answer never came."""

    complete = False

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def metered(self, document: Mapping[str, Any]) -> Metered:
        return self._estimate(document)


class TypedStream:
    """Events, up to the `answers`th of a type in `last`. What they say, their media left out, is kept in `said`."""

    def __init__(self, last: frozenset[str], answers: int = 1, limit: int = EVENT_LIMIT) -> None:
        self._events = Events(limit)
        self._last = last
        self._marks = tuple(name.encode() for name in last)
        self._answers = answers
        self._held = self._tail = b""
        self.said: list[dict[str, Any]] = []
        self.failed = False
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        events = self._events.feed(data)
        if len(events) == 1:
            return self._read(events[0])
        return b"".join([self._read(event) for event in events])

    def finish(self) -> bytes:
        held = self._held + self._tail + self._events.take_rest()
        self._held = self._tail = b""
        return held

    def metered(self, document: Mapping[str, Any]) -> Metered:
        raise NotImplementedError

    def note(self, event: bytes) -> None:
        """Learn from an event that is not the last."""

    def _read(self, event: bytes) -> bytes:
        if self.complete:
            self._tail = (self._tail + event)[:TAIL_LIMIT]
            return b""
        if any(mark in event for mark in self._marks) and (said := self._ending(event)) is not None:
            self.said.append(said)
            if len(self.said) == self._answers:
                self.complete = True
                self._held = event
                return b""
            return event
        if b'"error"' in event:
            self.failed |= _is_error(event)
        self.note(event)
        if self.failed:
            self.complete = True
            self._held = event
            return b""
        return event

    def _ending(self, event: bytes) -> dict[str, Any] | None:
        """What an event says whose type is one of the last; None for another. Pictures and sound stay bytes."""
        try:
            members = members_of(payload(event))
            if _decode(members.get("type", b"null")) not in self._last:
                return None
            return {name: _decode(members[name]) for name in ("usage", "model", "text") if name in members}
        except (TypeError, *NOT_JSON):
            return None


def reported_tokens(said: Mapping[str, Any]) -> dict[str, Any] | None:
    """The usage of an answer, when it counts tokens in and out."""
    usage = said.get("usage")
    if not isinstance(usage, dict):
        return None
    has_counts = all(counted(usage.get(name)) is not None for name in ("input_tokens", "output_tokens"))
    return usage if has_counts else None


def _is_error(event: bytes) -> bool:
    try:
        members = members_of(payload(event))
        return bool(_decode(members.get("error", b"null"))) or bytes(members.get("type", b"")) == b'"error"'
    except NOT_JSON:
        return False
