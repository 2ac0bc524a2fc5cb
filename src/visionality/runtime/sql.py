"""SQL lives in `.sql` files; each statement has a name.

A statement starts at a line `-- name: words` and ends before the next one. What stands above the first name is the
file's own comment.
"""

from functools import cache
from importlib.resources import files


@cache
def statements(package: str, file: str) -> dict[str, str]:
    """The statements of a package's `.sql` file by their names. ValueError where two have the same."""
    found: dict[str, str] = {}
    for block in text(package, file).split("-- name: ")[1:]:
        name, _, body = block.partition("\n")
        name = name.strip()
        if name in found:
            raise ValueError(
                f"{file} has two statements that are called {name}: each needs a name of its own"
            )
        found[name] = body.strip()
    return found


def text(package: str, file: str) -> str:
    return files(package).joinpath(file).read_text()
