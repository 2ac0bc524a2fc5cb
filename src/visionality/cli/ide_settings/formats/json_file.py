"""JSON: read whole and written whole, with its own indent and order."""

import json
import re

from visionality.cli.ide_settings.formats import Path, Tree, Unreadable, Value

_FIRST_INDENT = re.compile(r"^[{\[]\s*\n([ \t]+)")


def read(text: str) -> Tree:
    try:
        found = json.loads(text or "{}", object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"line {error.lineno} is no JSON: {error.msg} (comments are not read either)"
        ) from None
    if not isinstance(found, dict):
        raise Unreadable("expected an object, { ... }")
    return found


def put(text: str, path: Path, value: Value) -> str:
    tree = read(text)
    inner = tree
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = value
    indent = _FIRST_INDENT.match(text)
    return json.dumps(tree, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n"


def _once(pairs: list[tuple[str, object]]) -> Tree:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable("a name is said twice in one object, and one of them would be lost")
    return found
