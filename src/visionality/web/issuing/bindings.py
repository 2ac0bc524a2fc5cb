"""What a key is bound to, and what a key of its level may not be (security design, section 4)."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from visionality.core.binding import CALLER
from visionality.core.level import BEARER, LEVELS, OBSERVED, PINNED, STRICT, longest
from visionality.core.window import Period
from visionality.web.issuing.models import CALL, EXCHANGE, MINT

LONGEST_LIST = 40
_NAME = re.compile(r"[!-~]{1,200}")
_TEXTS = (("memo", 200), ("url", 400), ("task", 80), ("task_class", 40))


class BadBinding(Exception):
    """A binding that a key cannot have."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a key is bound to; empty means not bound."""

    agent: str
    project: str = ""
    customer: str = ""
    task: str = ""
    task_class: str = ""
    memo: str = ""
    url: str = ""
    lifetime: timedelta | None = None
    """As long as its level allows when it is left out."""
    level: int = BEARER
    claims: tuple[str, ...] = ()
    """The projects that its calls may claim; empty is any."""
    scopes: tuple[str, ...] = (CALL,)
    models: tuple[str, ...] = ()
    """Names, in which `*` stands for any text."""
    providers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    """In CIDR notation."""
    callers: tuple[str, ...] = ()
    service: str = ""
    """Whose binding keys prove its requests."""
    cap: tuple[int, Period] | None = None
    """Nano-USD that it may spend in a period: a hard budget of its own."""


def longest_life(scopes: Sequence[str], level: int) -> timedelta:
    """How long a key of these scopes may live at the level in force."""
    return longest(level if CALL in scopes else BEARER)


def checked_networks(networks: Sequence[str]) -> list[str]:
    """The networks as they are stored. Raises BadBinding."""
    try:
        return [str(ipaddress.ip_network(network)) for network in networks]
    except ValueError as error:
        raise BadBinding(f"--network {error}: expected a network such as 203.0.113.0/24") from None


def check(bound: Bindings, level: int) -> None:
    """Raise BadBinding for what a key cannot be at the level in force."""
    _check_texts(bound)
    _check_lists(bound)
    if bound.level not in LEVELS:
        raise BadBinding(f"--level {bound.level}: expected 0 to {STRICT}")
    if not bound.scopes or (set(bound.scopes) != {EXCHANGE} and set(bound.scopes) - {CALL, MINT}):
        raise BadBinding(
            f"--scope {' '.join(bound.scopes)}: expected {CALL}, {MINT} or both, or {EXCHANGE} by itself"
        )
    if bound.project and bound.claims:
        raise BadBinding("--claims is for a key of no one project: leave --project out")
    _check_life(bound, level)
    if (level >= OBSERVED or MINT in bound.scopes) and not bound.service:
        why = f"at level {level}" if level >= OBSERVED else "that mints"
        raise BadBinding(
            f"a key {why} needs a service that proves its requests: name one with --service (`vis service add`)"
        )
    if level == PINNED and not bound.networks:
        raise BadBinding(f"a key at level {PINNED} needs the networks that it may come from: --network CIDR")
    if level == STRICT and not bound.callers:
        raise BadBinding(f"a key at level {STRICT} needs the callers that may sign for it: --caller NAME")


def _check_life(bound: Bindings, level: int) -> None:
    most = longest_life(bound.scopes, level)
    if bound.lifetime is not None and not timedelta(0) < bound.lifetime <= most:
        raise BadBinding(f"a key at level {level} can live at most {_words(most)}")


def _check_texts(bound: Bindings) -> None:
    for name, limit in _TEXTS:
        text = getattr(bound, name)
        if len(text) > limit or not (text.isprintable()):
            raise BadBinding(f"--{name.replace('_', '-')} must be printable and at most {limit} characters")
    if bound.url and not bound.url.startswith("https://"):
        raise BadBinding("--url must start with https://")


def _check_lists(bound: Bindings) -> None:
    named = {
        "claims": (bound.claims, _NAME),
        "model": (bound.models, _NAME),
        "provider": (bound.providers, _NAME),
        "network": (bound.networks, _NAME),
        "caller": (bound.callers, CALLER),
    }
    for option, (values, shape) in named.items():
        if len(values) > LONGEST_LIST:
            raise BadBinding(
                f"--{option} was said {len(values)} times, at most {LONGEST_LIST} fit into a key"
            )
        for value in values:
            if not shape.fullmatch(value):
                raise BadBinding(f"--{option} {value!r}: expected printable characters without spaces")


def _words(span: timedelta) -> str:
    if span >= timedelta(days=2):
        return f"{span.days} days"
    hours = span // timedelta(hours=1)
    return f"{hours} hours" if hours else f"{span // timedelta(minutes=1)} minutes"
