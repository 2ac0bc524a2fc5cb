"""The identity table as a CSV file or a JSON list (promise A4): whose each agent is, and who pays for it.

A CSV's header names the columns, in any order. A row says all of its agent: an empty cell is none, and so is what an object of
a list does not name. It is read whole or refused whole, with every mistake and its line; in a list, its place from 1.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields

import msgspec

from visionality.core.mistake import Mistake, told

LARGEST = 10 * 1024 * 1024
"""Bytes of a file."""
_SUB = re.compile(r"[A-Za-z0-9][^\s\x00-\x1f]{0,254}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_OWNER = re.compile(r".{1,200}")
_CODE = re.compile(r".{0,80}")


class BadTable(Exception):
    """A CSV file that is not applied. `mistakes` are all of them, by line."""

    def __init__(self, mistakes: Collection[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__(told("the identity table", mistakes))


@dataclass(frozen=True, slots=True)
class Identity:
    """An agent at one time; empty is none."""

    agent_sub: str
    owner: str
    sso_sub: str = ""
    team: str = ""
    cost_center: str = ""
    """The team's when it is empty."""
    gl_code: str = ""
    """Of rows whose project has none."""


COLUMNS = tuple(field.name for field in fields(Identity))
_SHAPES = {
    "agent_sub": (_SUB, "no spaces, at most 255 characters, a letter or digit first"),
    "owner": (_OWNER, "1 to 200 printable characters"),
    "sso_sub": (_SUB, "no spaces, at most 255 characters, a letter or digit first; or nothing"),
    "team": (_KEY, "letters, digits, `.`, `_` or `-`, at most 80, a letter or digit first; or nothing"),
    "cost_center": (_CODE, "at most 80 printable characters"),
    "gl_code": (_CODE, "at most 80 printable characters"),
}
_NEEDED = ("agent_sub", "owner")


def read_table(content: bytes) -> list[tuple[int, Identity]]:
    """The agents of a file, each with its line. Raises BadTable."""
    if len(content) > LARGEST:
        raise BadTable([Mistake(1, f"the file has {len(content)} bytes: at most {LARGEST} are read")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadTable([Mistake(line, "this is no UTF-8: save the file as UTF-8")]) from None
    mistakes: list[Mistake] = []
    found = list(_agents(text, mistakes))
    _check(found, mistakes, "line")
    if mistakes:
        raise BadTable(mistakes)
    return found


def read_list(content: bytes) -> list[tuple[int, Identity]]:
    """The agents of a JSON list, each with its place in it. Raises BadTable."""
    try:
        items = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadTable([Mistake(1, f"this is no JSON: {error}")]) from None
    if not isinstance(items, list):
        raise BadTable([Mistake(1, "expected a list of agents: [{…}, {…}]")])
    mistakes: list[Mistake] = []
    found = [
        (place, identity)
        for place, item in enumerate(items, 1)
        if (identity := _agent(place, item, mistakes)) is not None
    ]
    _check(found, mistakes, "item")
    if mistakes:
        raise BadTable(mistakes)
    return found


def wrong_values(identity: Identity) -> list[str]:
    """What no agent can have, one sentence each."""
    return [words for _, words in _wrong(identity)]


def _wrong(identity: Identity) -> list[tuple[str, str]]:
    """The same with the names of what is wrong."""
    return [
        (name, f"{name} {value!r}: expected {expected}")
        for name, (shape, expected) in _SHAPES.items()
        if ((value := getattr(identity, name)) or name in _NEEDED)
        and not (shape.fullmatch(value) and value.isprintable())
    ]


def _agent(place: int, item: object, mistakes: list[Mistake]) -> Identity | None:
    """One object of a list; None, with what is wrong, where it is no agent."""
    if not isinstance(item, dict):
        mistakes.append(Mistake(place, f"expected an object with {', '.join(COLUMNS)}"))
        return None
    wrong = [
        Mistake(place, f"{name!r} is not known here: expected {', '.join(COLUMNS)}", name)
        for name in item
        if name not in COLUMNS
    ]
    wrong += [
        Mistake(place, f"{name}: expected text", name)
        for name in COLUMNS
        if not isinstance(item.get(name, ""), str)
    ]
    mistakes += wrong
    return None if wrong else Identity(**{name: item.get(name, "").strip() for name in COLUMNS})


def _check(found: list[tuple[int, Identity]], mistakes: list[Mistake], what: str) -> None:
    """Note what no agent can have, and agents that stand twice."""
    first: dict[str, int] = {}
    for line, identity in found:
        mistakes += [Mistake(line, words, name) for name, words in _wrong(identity)]
        if before := first.get(identity.agent_sub):
            twice = f"{identity.agent_sub} stands twice: first in {what} {before}"
            mistakes.append(Mistake(line, twice, "agent_sub"))
        first.setdefault(identity.agent_sub, line)


def _agents(text: str, mistakes: list[Mistake]) -> Iterator[tuple[int, Identity]]:
    rows = _rows(text, mistakes)
    _, header = next(rows, (1, []))
    if sorted(header) != sorted(COLUMNS):
        mistakes.append(Mistake(1, f"the header is {','.join(header)!r}: expected {','.join(COLUMNS)}"))
        return
    for line, cells in rows:
        if len(cells) != len(COLUMNS):
            mistakes.append(Mistake(line, f"{len(cells)} cells: expected {len(COLUMNS)}"))
            continue
        yield line, Identity(**dict(zip(header, cells, strict=True)))


def _rows(text: str, mistakes: list[Mistake]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line in which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        mistakes.append(Mistake(line, f"this is no CSV: {error}"))
