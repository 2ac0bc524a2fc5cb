"""The auth flow that httpx and httpx2 share: the request leaves with a proof of its own each time it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from visionality_client.signer import Signer


class BindingFlow:
    """The part of an `Auth` that does the work; the library's own class stands beside it."""

    requires_request_body = True

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        target = request.url.raw_path.decode("ascii")
        request.headers.update(self._signer.headers(request.method, target, request.headers, request.content))
        yield request
