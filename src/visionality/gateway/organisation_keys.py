"""Organisations' keys, unwrapped beside the event loop: a key service may take seconds, and calls go on meanwhile."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import structlog

from visionality.core.call import Refusal
from visionality.vault.keyproviders._core import KeyDisabled, KeyProvider, KeysAway
from visionality.vault.sealing import Context

log = structlog.get_logger()

AT_ONCE = 4
"""Keys that are unwrapped at the same time; threads of their own, so that an outage holds up nothing else."""
WAIT = 10.0
"""Seconds that a call waits for its key: what a service may take, and a queue before it."""


class OrganisationKeys:
    """What asks a KeyProvider for the gateway. Those who want one key at the same time share one answer."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys
        self._threads = ThreadPoolExecutor(AT_ONCE, "organisation-keys")
        self._asked: dict[tuple[Context, bytes], asyncio.Future[bytes]] = {}

    async def unwrap(self, context: Context, wrapped: bytes) -> bytes:
        """The key of an organisation. Raises SealBroken, and Refusal when the key service is of no help."""
        try:
            async with asyncio.timeout(WAIT):
                return await asyncio.shield(self._answer(context, wrapped))
        except (KeysAway, KeyDisabled, TimeoutError) as error:
            log.warning("key_service", error=str(error), error_type=type(error).__name__)
            raise Refusal(
                503,
                "key_service_unavailable",
                "the service that holds this installation's keys did not open one: nothing was sent",
            ) from None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answer(self, context: Context, wrapped: bytes) -> asyncio.Future[bytes]:
        name = (context, wrapped)
        asked = self._asked.get(name)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked[name] = loop.run_in_executor(
                self._threads, self._keys.unwrap, context, wrapped
            )
            asked.add_done_callback(lambda done: self._told(name, done))
        return asked

    def _told(self, name: tuple[Context, bytes], done: asyncio.Future[bytes]) -> None:
        del self._asked[name]
        if not done.cancelled():
            done.exception()  # whoever asked may have left: then nobody looks at it
