"""What is measured, as the environment says it."""

import os
from collections.abc import Sequence

from bench.peers.peer import CannotRun


def sizes(name: str, usual: Sequence[int]) -> tuple[int, ...]:
    """Rising whole numbers, the first of which the others are compared with. Raises CannotRun."""
    like = ",".join(map(str, usual))
    said = os.environ.get(name, like)
    try:
        found = tuple(int(one) for one in said.split(","))
    except ValueError:
        found = ()
    if len(found) < 2 or list(found) != sorted(set(found)) or found[0] < min(usual[0], 1):
        raise CannotRun(f"{name}={said} are no sizes: say two rising whole numbers at least, such as {like}")
    return found


def number(name: str, usual: float) -> float:
    """Above zero. Raises CannotRun."""
    said = os.environ.get(name, str(usual))
    try:
        found = float(said)
    except ValueError:
        found = 0.0
    if found <= 0:
        raise CannotRun(f"{name}={said} is no number above zero: say one such as {usual}")
    return found


def subjects(known: Sequence[str]) -> tuple[str, ...]:
    """Those of GROWTH, in the order of the known ones. Raises CannotRun."""
    said = [one.strip() for one in os.environ.get("GROWTH", ",".join(known)).split(",") if one.strip()]
    if not said or not set(said) <= set(known):
        raise CannotRun(f"GROWTH={','.join(said)}: say some of {', '.join(known)}, with commas between them")
    return tuple(one for one in known if one in said)
