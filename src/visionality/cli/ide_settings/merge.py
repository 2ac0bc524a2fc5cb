"""Settings put into a file that a person has: what it says otherwise stays, or nothing is changed."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

from visionality.cli.ide_settings.formats import Format, Path, Tree, Unreadable, Value


@dataclass(frozen=True, slots=True)
class Merged:
    """A file's new text, and what that changes."""

    text: str
    changes: tuple[str, ...]
    """A line for each setting that differs. What it was before is never shown: it may be a key."""


def merge(
    kind: Format, text: str, settings: Mapping[Path, Value], starts: Mapping[Path, Value] | None = None
) -> Merged:
    """The text with these settings, and with those of `starts` that it does not have yet.

    Raises Unreadable when the text is not of its format, or is written in a way that cannot be edited without
    changing something else.
    """
    before = kind.read(text)
    wanted = {path: value for path, value in (starts or {}).items() if at(before, path) is None}
    wanted |= {path: value for path, value in settings.items() if at(before, path) != value}
    expected, after = deepcopy(before), text
    for path, value in wanted.items():
        _set(expected, path, value)
        after = kind.put(after, path, value)
    if wanted and _read_again(kind, after) != expected:
        raise Unreadable("it is written in a way that cannot be edited without changing other settings")
    return Merged(after, tuple(_told(before, path, value) for path, value in wanted.items()))


def at(tree: Tree, path: Path) -> object:
    """What stands at a path, or None."""
    inner: object = tree
    for name in path:
        inner = inner.get(name) if isinstance(inner, dict) else None
    return inner


def _set(tree: Tree, path: Path, value: Value) -> None:
    for depth, name in enumerate(path[:-1], 1):
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise Unreadable(f"{'.'.join(path[:depth])} is a value: expected settings below it")
    tree[path[-1]] = value


def _read_again(kind: Format, text: str) -> Tree | None:
    try:
        return kind.read(text)
    except Unreadable:
        return None


def _told(before: Tree, path: Path, value: Value) -> str:
    if at(before, path) is None:
        return f"+ {'.'.join(path)} = {value}"
    return f"~ {'.'.join(path)} = {value} (it had another value)"
