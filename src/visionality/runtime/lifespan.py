"""The lifespan of an ASGI application (ASGI specification, "Lifespan Protocol"): a start, a stop, and faults told."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

log = structlog.get_logger()

Message = MutableMapping[str, Any]


async def lifespan(
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
) -> None:
    """Start when the server does and stop when it stops; a fault in either is logged and ends the server."""
    for step, act in (("startup", start), ("shutdown", stop)):
        await receive()
        try:
            await act()
        except Exception as error:
            log.exception("lifespan_failed", step=step)
            await send({"type": f"lifespan.{step}.failed", "message": str(error)})
            return
        await send({"type": f"lifespan.{step}.complete"})
