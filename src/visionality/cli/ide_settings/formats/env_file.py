"""Files of `NAME=VALUE` lines, as dotenv readers take them. A value may be quoted; one over several lines is not read."""

import re

from visionality.cli.ide_settings.formats import Path, Tree, Unreadable, Value

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*")
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'[^']*'|`[^`]*`)\s*(#.*)?""")


def read(text: str) -> Tree:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise Unreadable(f"line {number} is no NAME=VALUE")
        name, value = match.groups()
        if value[:1] in ("'", '"', "`"):
            quoted = _QUOTED.fullmatch(value)
            if quoted is None:
                raise Unreadable(f"line {number}: the quoted value of {name} does not end on its line")
            value = quoted[1][1:-1]
        found[name] = value
    return found


def put(text: str, path: Path, value: Value) -> str:
    """The last line that says the name is the one that readers take."""
    (name,) = path
    lines = text.splitlines()
    said = [at for at, line in enumerate(lines) if (match := _LINE.fullmatch(line)) and match[1] == name]
    if said:
        lines[said[-1]] = f"{name}={value}"
    else:
        lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n"
