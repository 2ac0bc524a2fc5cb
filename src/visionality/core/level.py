"""How much a caller must show: the five levels of a grant, and what each forces (security design, section 4).

The level in force is the highest of the organisation's floor, the project's floor and the token's own; nothing in a
request lowers it.
"""

from datetime import timedelta

BEARER, PINNED, OBSERVED, REQUIRED, STRICT = range(5)
"""The key alone; from named networks; a proof is checked where there is one; there must be one; and nothing may be away."""

LEVELS = range(5)
LONGEST_OBSERVED = timedelta(days=30)
"""Observing is a state on the way: a grant that observes ends within this time."""

_LONGEST = {
    BEARER: timedelta(days=90),
    PINNED: timedelta(days=90),
    OBSERVED: LONGEST_OBSERVED,
    REQUIRED: timedelta(hours=24),
    STRICT: timedelta(minutes=15),
}


def longest(level: int) -> timedelta:
    """How long what can call a model may live at a level. What can only mint lives as long as a bearer key."""
    return _LONGEST[level]
