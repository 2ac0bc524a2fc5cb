"""Signs what a requests session sends: `session.mount("https://gateway.example/", BindingAdapter(signer))`.

Redirects come through here one by one, and each is signed. urllib3 would repeat a request below this, with a proof that
was used: so its retries are off, and whoever repeats sends through the session again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter

from visionality_client.signer import CannotSign

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from visionality_client.signer import Signer


class BindingAdapter(HTTPAdapter):
    """Adds a fresh proof to every request of the addresses that it is mounted at."""

    def __init__(self, signer: Signer, *, pool_size: int = DEFAULT_POOLSIZE) -> None:
        self._signer = signer
        super().__init__(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)

    def send(self, request: PreparedRequest, *args: Any, **how: Any) -> Response:
        """Send it once, signed. Raises CannotSign for a body that is only read while it is sent."""
        body = request.body or b""
        if not isinstance(body, (str, bytes)):
            raise CannotSign("the proof covers the body: give it as bytes, not as a file or a generator")
        content = body.encode() if isinstance(body, str) else body
        request.headers.update(
            self._signer.headers(request.method or "", request.path_url, request.headers, content)
        )
        return super().send(request, *args, **how)
