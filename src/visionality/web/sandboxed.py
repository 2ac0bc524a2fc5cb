"""Which providers the simulated one answers for, so that nobody takes its answers for real ones."""

from collections.abc import Collection

from visionality.core.vendors import TITLES
from visionality.web.plane import plane


def unkeyed(live: Collection[str]) -> tuple[str, ...]:
    """The providers without a key, when the sandbox steps in for those; `live` are those with one."""
    return tuple(name for name in TITLES if name not in live) if plane().sandbox else ()
