"""Django's ASGI handler for a plane whose views are all synchronous.

Left alone, Django makes a thread, and so a database connection, for each request. Here a request borrows one of a
few threads that stay, and their connections stay with them.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections, connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from visionality.core.client_address import client_address
from visionality.web import reading
from visionality.web.plane import plane

THREADS = 8
"""Each has up to two connections: one as vis_web, one as vis_reader."""
LARGEST_BODY = 1024 * 1024
"""Bytes of a request that are kept; one more tells a view that it was too large."""
ANSWER_THEMSELVES = ("/api/", "/hooks/")
"""Where programs send: their views refuse what is too large in their own form."""
LAST_REQUESTS = 10.0
"""Seconds that a shutdown waits for requests that are still being answered."""


class Handler(ASGIHandler):
    """One web process."""

    def __init__(self) -> None:
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(THREADS, "web")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.handle(_from_its_client(scope), receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    def create_request(self, scope: Mapping[str, Any], body_file: Any) -> Any:
        """Django's request, or the refusal of a form that is cut off: half a file must not be taken for the whole."""
        is_whole = body_file.getbuffer().nbytes <= LARGEST_BODY
        if is_whole or scope["path"].startswith(ANSWER_THEMSELVES):
            return super().create_request(scope, body_file)
        told = f"nothing was done: a form has {LARGEST_BODY} bytes at most, and more came; use the command line\n"
        return None, HttpResponse(told, status=413, content_type="text/plain; charset=utf-8")

    async def run_get_response(self, request: HttpRequest) -> HttpResponseBase:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._respond, request)

    async def read_body(self, receive: Any) -> BytesIO:
        """The body in memory. Django's own would put whatever a stranger sends on the disk."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestAborted
            body += message.get("body", b"")[: LARGEST_BODY + 1 - len(body)]
            if not message.get("more_body", False):
                return BytesIO(body)

    def _respond(self, request: HttpRequest) -> HttpResponseBase:
        close_old_connections()
        return self.get_response(request)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._close)
        await send({"type": "lifespan.shutdown.complete"})

    def _close(self) -> None:
        """Have each thread close its connections: all of them meet first, so that none does it twice."""
        meeting = Barrier(THREADS, timeout=LAST_REQUESTS)

        def leave() -> None:
            meeting.wait()
            connections.close_all()
            reading.close()

        for _ in range(THREADS):
            self._threads.submit(leave)
        self._threads.shutdown()


def _from_its_client(scope: dict[str, Any]) -> dict[str, Any]:
    """The request as coming from the address that our proxies saw, which its audit rows say; nobody's where they said none."""
    hops = plane().trusted_hops
    if not hops:
        return scope
    address = client_address("", scope["headers"], hops)
    return {**scope, "client": (address, 0) if address else None}
