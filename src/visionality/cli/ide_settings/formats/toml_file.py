"""TOML: edited by the line, so that comments and order stay."""

import json
import re
import tomllib

from visionality.cli.ide_settings.formats import Path, Tree, Unreadable, Value

_HEADER = re.compile(r"\s*\[")


def read(text: str) -> Tree:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(f"it is no TOML: {error}") from None


def put(text: str, path: Path, value: Value) -> str:
    *table, name = path
    lines = text.splitlines()
    first = _first_line(lines, table)
    if first is None:
        lines += [*([""] if lines else []), f"[{'.'.join(table)}]"]
        first = len(lines)
    last = next((at for at in range(first, len(lines)) if _HEADER.match(lines[at])), len(lines))
    line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
    there = re.compile(rf"\s*{re.escape(name)}\s*=")
    for at in range(first, last):
        if there.match(lines[at]):
            lines[at] = line
            break
    else:
        while first < last and lines[last - 1].strip() == "":
            last -= 1
        lines.insert(last if table else first, line)
    return "\n".join(lines) + "\n"


def _first_line(lines: list[str], table: list[str]) -> int | None:
    """The line behind a table's header; 0 for what stands before all tables."""
    if not table:
        return 0
    dotted = r"\s*\.\s*".join(map(re.escape, table))
    header = re.compile(rf"\s*\[\s*{dotted}\s*\]\s*(#.*)?")
    return next((at + 1 for at, line in enumerate(lines) if header.fullmatch(line)), None)
