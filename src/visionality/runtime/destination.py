"""Where nothing of ours may send anything, whoever asks for it: a machine's metadata service, which gives its credentials away.

The addresses are those of AWS (169.254.169.254, 169.254.170.2, fd00:ec2::254), Azure (168.63.129.16 beside the first),
Google and Oracle (the first) and Alibaba (100.100.100.200); and none at all, which the system takes for its own.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

LONGEST_ADDRESS = 400
"""Characters of an address, as it is kept."""

_REFUSED = tuple(
    ip_network(one)
    for one in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "0.0.0.0/8",
        "::/128",
    )
)


def is_refused(host: str) -> bool:
    """Whether a host is such an address, in any spelling that a system takes for one (`2852039166`, `0xa9fea9fe`)."""
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address is not None and any(address in network for network in _REFUSED)


def is_address(url: str) -> bool:
    """Whether this is an address of a server: http or https, a host, perhaps a path; no key, query or space in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_plain = url.isprintable() and not set(url) & set(" ?#@") and len(url) <= LONGEST_ADDRESS
    return is_plain and parts.scheme in {"https", "http"} and bool(parts.hostname)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
