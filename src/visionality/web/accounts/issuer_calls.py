"""Calls to the issuers of organisations, none of which is ours: each may be slow, endless, or lead elsewhere.

A call waits for its issuer in one of the few threads that serve everybody's pages, so an organisation has few at once, and all
of them together leave threads free.
"""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import requests  # noqa: TID251 -- what allauth calls the issuer by; Calls keeps it within our rules
from urllib3.exceptions import HTTPError

from visionality.runtime.destination import is_refused

PATIENCE = 10
"""Seconds until an issuer must have said something, and until its whole answer must be there."""
LARGEST = 1024 * 1024
"""Bytes of an answer: a discovery document, keys, tokens, claims."""
_BLOCK = 64 * 1024
OF_ONE, OF_ALL = 4, 6
"""Conversations at once with one organisation's issuer, and with all of them: pages are served by eight threads."""

_open: Counter[UUID] = Counter()
_counting = Lock()


@contextmanager
def conversation(org_id: UUID) -> Iterator[None]:
    """While an organisation's issuer is asked. Raises requests.ConnectionError when too many wait for it already."""
    with _counting:
        if _open[org_id] >= OF_ONE or _open.total() >= OF_ALL:
            raise requests.ConnectionError("others wait for this issuer already")
        _open[org_id] += 1
    try:
        yield
    finally:
        with _counting:
            _open[org_id] -= 1
            if not _open[org_id]:
                del _open[org_id]


class Calls(requests.Session):
    """No proxy or credential of the environment, no redirect, no metadata service, and no answer without end."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        parts = urlsplit(str(url))
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except OSError as error:
            raise requests.ConnectionError(f"{parts.hostname} is not found: {error}") from None
        if any(is_refused(str(address[0])) for *_, address in found):
            raise requests.ConnectionError(f"{parts.hostname} is a machine's metadata service")
        ours = {"timeout": PATIENCE, "allow_redirects": False, "stream": True}
        until = time.monotonic() + PATIENCE
        response = super().request(method, url, *args, **{**options, **ours})
        with response:
            response._content = _whole(response, until)  # noqa: SLF001 -- what `stream` leaves to whoever reads it
        return response


def _whole(response: requests.Response, until: float) -> bytes:
    """What is said until the answer ends, as it comes: an issuer may send a byte every nine seconds."""
    body = bytearray()
    try:
        while block := response.raw.read1(_BLOCK, decode_content=True):
            body += block
            if len(body) > LARGEST:
                raise requests.ConnectionError(f"an answer of more than {LARGEST} bytes")
            if time.monotonic() > until:
                raise requests.ConnectionError(f"no whole answer within {PATIENCE} seconds")
    except HTTPError as error:
        raise requests.ConnectionError(f"the answer breaks off: {error}") from None
    return bytes(body)
