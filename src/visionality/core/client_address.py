"""Whose address a request comes from, where proxies of ours stand before us (attack 19)."""

from collections.abc import Iterable
from ipaddress import ip_address


def client_address(peer: str, headers: Iterable[tuple[bytes, bytes]], hops: int) -> str:
    """Whose address a request comes from, where so many proxies of ours stand before us.

    Each of them appends the address that it saw, so only the last `hops` are believed; empty where there are fewer.
    """
    if hops == 0:
        return peer
    seen = [
        part.strip() for name, value in headers if name == b"x-forwarded-for" for part in value.split(b",")
    ]
    if len(seen) < hops:
        return ""
    try:
        return str(ip_address(seen[-hops].decode("ascii")))
    except ValueError:
        return ""
