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

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection(there.hostname, there.port)
        await asyncio.gather(carry(reader, onward), carry(onward_reader, writer))

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(meet, "127.0.0.1", 0, ssl=context), loop
    ).result()
    try:
        yield f"https://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(over(serving), loop).result()
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


async def over(serving: asyncio.Server) -> None:
    """Close the server and whatever is still open."""
    serving.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
