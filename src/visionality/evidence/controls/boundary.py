"""CC6.6 and CC6.7, the boundary and what leaves through it: only to servers that were named, and encrypted on the way."""

from collections.abc import Sequence
from ipaddress import ip_address

from visionality.core.control import Judged
from visionality.evidence.controls._core import Asked, Collector, Facts, Record, judged, mechanism, together
from visionality.runtime.destination import is_refused

KINDS = ("provider", "connector", "alert webhook", "sign-on")


def judge(rows: Sequence[Record], asked: Asked) -> Judged:  # noqa: ARG001 -- every judge is given both
    return judged(
        rows,
        dict.fromkeys(KINDS, _destination),
        [
            mechanism("Calls go to servers that an operator named, and to no others", ""),
            mechanism("A machine's metadata service is refused as a destination", ""),
            mechanism("PII pre-flight on prompts", "not built: no prompt is looked through before it leaves"),
            mechanism("A daily test that the pre-flight fails closed", "not built: there is no pre-flight"),
            mechanism(
                "Refused destinations are written up",
                "not built: whoever names one is told, and no row is kept",
            ),
        ],
    )


def _destination(to: Facts) -> str:
    name = host_of(to["host"] or "")
    if not name:
        return "its address names no server"
    return together(
        "it is a machine's metadata service" if is_refused(name) else "",
        "" if to["is_encrypted"] or is_loopback(name) else "what is sent there is not encrypted",
    )


def host_of(host: str) -> str:
    """The host without its port: `[::1]:8700` is `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_loopback(name: str) -> bool:
    """Whether it is this machine, where there is no way to be encrypted on."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


BOUNDARY = Collector("CC6.6/6.7", "The boundary, and what leaves through it", "boundary.sql", judge)
