"""What stands before a gateway in the world: TLS ends here, and plain bytes go on.

boto3 sends a bearer token to nobody who does not speak TLS.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from gateway.certificates import Authority


@contextmanager
def terminated(address: str, folder: Path) -> Iterator[str]:
    """The same server under https; `folder` then has the certificate of the authority to trust, `authority.pem`."""
    there = urlsplit(address)
    context = Authority.made(folder).server()
    loop = asyncio.new_event_loop()
    ends: list[asyncio.StreamWriter] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(writer)
        onward_reader, onward = await asyncio.open_connection(there.hostname, there.port)
        ends.append(onward)
        with suppress(asyncio.CancelledError):  # the test is over
            await asyncio.gather(carry(reader, onward), carry(onward_reader, writer))

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(meet, "127.0.0.1", 0, ssl=context), loop
    ).result()
    try:
        yield f"https://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(over(serving, ends), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()


async def over(serving: asyncio.Server, ends: list[asyncio.StreamWriter]) -> None:
    """Close the server and whatever is still open; TLS would wait for the other side's farewell after the loop ended."""
    serving.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for end in ends:
        end.transport.abort()
    for _ in range(3):
        await asyncio.sleep(0)
