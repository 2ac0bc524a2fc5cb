"""YAML without its dangers: text, lists and mappings with their lines, and nothing else.

Anchors, aliases, tags, merge keys, directives, further documents and keys said twice are mistakes, and all of them are
told. It reads the events of PyYAML one after the other and stops at a limit, so that no file grows in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from visionality.core.mistake import Mistake

MOST_NODES = 10_000
DEEPEST = 8


class BadYaml(Exception):
    """A file that is not read. `mistakes` are all that were found before reading ended."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(f"line {mistake.line}: {mistake.words}" for mistake in mistakes))


@dataclass(frozen=True, slots=True)
class Text:
    """One value, as it is written."""

    line: int
    value: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping, in its order."""

    line: int
    entries: tuple[tuple[Text, "Node"], ...]


Node = Text | Items | Block


def read(content: bytes) -> tuple[Node, list[Mistake]]:
    """The one document of a file, and what in it is not allowed. Raises BadYaml where it cannot be read to its end."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadYaml([Mistake(line, "this is no UTF-8: save the file as UTF-8")]) from None
    reader = _Reader(text)
    root = reader.document()
    if not reader.is_whole:
        raise BadYaml(reader.mistakes)
    return root, reader.mistakes


class _Reader:
    def __init__(self, text: str) -> None:
        self.mistakes: list[Mistake] = []
        self.is_whole = False
        self._events = self._checked(text)

    def document(self) -> Node:
        root: Node = Text(1, "")
        for event in self._events:
            if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
                root = self._node(event)
        return root

    def _node(self, event: yaml.Event) -> Node:
        line = _line(event)
        if isinstance(event, yaml.ScalarEvent):
            return Text(line, event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(line, tuple(self._nodes()))
        nodes = list(self._nodes())
        return Block(line, tuple(self._entries(zip(nodes[::2], nodes[1::2], strict=False))))

    def _nodes(self) -> Iterator[Node]:
        """What stands in a list or a mapping, up to its end."""
        for event in self._events:
            if isinstance(event, yaml.CollectionEndEvent):
                return
            yield self._node(event)

    def _entries(self, pairs: Iterator[tuple[Node, Node]]) -> Iterator[tuple[Text, Node]]:
        seen: dict[str, int] = {}
        for key, value in pairs:
            if not isinstance(key, Text):
                self._wrong(key.line, "a key must be text")
            elif key.value == "<<":
                self._wrong(key.line, "merge keys (<<) are not allowed: write the values out")
            elif key.value in seen:
                self._wrong(key.line, f"{key.value!r} stands twice: first in line {seen[key.value]}")
            else:
                seen[key.value] = key.line
                yield key, value

    def _checked(self, text: str) -> Iterator[yaml.Event]:
        """The events that build nodes; mistakes are noted on the way, and a syntax error or a limit ends them."""
        count = depth = documents = 0
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                documents += isinstance(event, yaml.DocumentStartEvent)
                count += isinstance(event, yaml.NodeEvent)
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if count > MOST_NODES or depth > DEEPEST:
                    limit = (
                        f"more than {MOST_NODES} values"
                        if count > MOST_NODES
                        else f"more than {DEEPEST} levels"
                    )
                    self._wrong(_line(event), f"the file has {limit}: reading ends here")
                    return
                if documents > 1:
                    self._wrong(_line(event), "a second document begins: expected one")
                    return
                self._note(event)
                yield _as_text(event) if isinstance(event, yaml.AliasEvent) else event
            self.is_whole = True
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self._wrong(line, f"the character U+{ord(text[error.position]):04X} is not allowed")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._wrong(mark.line + 1 if mark else 1, f"this is no YAML: {error.problem or error.context}")

    def _note(self, event: yaml.Event) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            self._wrong(line, f"aliases (*{event.anchor}) are not allowed: write the value out")
        elif isinstance(event, yaml.NodeEvent):
            if event.anchor is not None:
                self._wrong(line, f"anchors (&{event.anchor}) are not allowed")
            if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
                self._wrong(line, f"tags ({event.tag}) are not allowed")
        elif isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
            self._wrong(line, "directives (%) are not allowed")

    def _wrong(self, line: int, words: str) -> None:
        self.mistakes.append(Mistake(line, words))


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1


def _as_text(event: yaml.AliasEvent) -> yaml.ScalarEvent:
    """An alias as it is written, so that reading goes on behind it."""
    return yaml.ScalarEvent(None, None, (True, True), f"*{event.anchor}", event.start_mark, event.end_mark)
