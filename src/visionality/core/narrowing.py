"""Whether one list of what is allowed lies within another. An empty list allows everything."""

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_SPECIAL = re.compile(r"[?\[\]]")


def matches(glob: str, name: str) -> bool:
    """Whether a name is of this form, in which only `*` is special."""
    return glob in {"*", name} or ("*" in glob and _pattern(glob).match(name) is not None)


def is_named(globs: Sequence[str], name: str) -> bool:
    """Whether a name is among the globs, in which only `*` is special."""
    return not globs or any(matches(glob, name) for glob in globs)


def are_globs_within(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    """Whether every name that `narrow` allows is allowed by `wide`; says no when it cannot tell."""
    if not wide:
        return True
    return bool(narrow) and all(any(_is_glob_within(glob, other) for other in wide) for glob in narrow)


def are_networks_within(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    """Whether every address in `narrow` is in one of `wide`. Raises ValueError for what is no network."""
    if not wide:
        return True
    return bool(narrow) and all(
        any(_is_network_within(_network(one), _network(other)) for other in wide) for one in narrow
    )


def are_within(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    """Whether a list of plain names lies within another."""
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def is_from(networks: Sequence[str], address: str) -> bool:
    """Whether an address is in one of the networks; an IPv4 address that is written as IPv6 is what it stands for."""
    if not networks:
        return True
    try:
        found = _address(address)
    except ValueError:
        return False
    return any(found in _network(network) for network in networks)


@lru_cache(4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(_SPECIAL.sub(lambda found: f"[{found[0]}]", glob)))


def _is_glob_within(glob: str, other: str) -> bool:
    if "*" not in glob:
        return matches(other, glob)
    return glob == other or (other.endswith("*") and other.count("*") == 1 and glob.startswith(other[:-1]))


def _is_network_within(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


@lru_cache(1024)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _address(text: str) -> IPv4Address | IPv6Address:
    found = ip_address(text)
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
