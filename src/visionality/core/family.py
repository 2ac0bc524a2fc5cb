"""The family of a model, as finance groups it: claude-sonnet, gpt-5, o3, gemini-2.5-flash.

Read off the name by its vendor's own pattern: dates, versions of a snapshot and sizes of a context are dropped.
"""

import re
from functools import lru_cache

_CLAUDE = re.compile(r"claude(?:-\d[\d.-]*)?-([a-z]{2,})")
_FINE_TUNED = re.compile(r"ft:([^:]+)")
_SNAPSHOT = re.compile(r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{3,4}|\d+k|latest|preview|exp))+$")


@lru_cache(maxsize=4096)
def model_family(model: str | None) -> str | None:
    """The family, or None without a model. A name of no known pattern is its own family."""
    if not model:
        return None
    name = model.lower().rsplit("/", 1)[-1]
    if claude := _CLAUDE.search(name):
        return f"claude-{claude[1]}"
    if tuned := _FINE_TUNED.match(name):
        name = tuned[1]
    return _SNAPSHOT.sub("", name)
