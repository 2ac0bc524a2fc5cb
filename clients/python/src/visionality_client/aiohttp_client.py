"""Signs what an aiohttp session sends: `aiohttp.ClientSession(middlewares=(BindingMiddleware(signer),))`.

Client middlewares came with aiohttp 3.12. Redirects and the repeat on a connection that was closed come through here one
by one. A middleware that repeats requests itself stands before this one, so that what it repeats is signed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionality_client.signer import CannotSign

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from visionality_client.signer import Signer


AUTOMATIC = "application/octet-stream"
"""What aiohttp itself says of a body that nothing else is said of, after the middlewares (`ClientRequest.send`)."""


class BindingMiddleware:
    """Adds a fresh proof to every request."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send it once, signed. Raises CannotSign for a body that is only encoded while it is sent."""
        if request.compress:
            raise CannotSign(
                "the proof covers the body as it is sent: compress it before, not with `compress`"
            )
        body = request.body
        content = body if isinstance(body, bytes) else await body.as_bytes()
        if request.method in request.POST_METHODS and "Content-Type" not in request.skip_auto_headers:
            request.headers.setdefault("Content-Type", AUTOMATIC)
        target = request.url.raw_path_qs
        request.headers.update(self._signer.headers(request.method, target, request.headers, content))
        return await handler(request)
