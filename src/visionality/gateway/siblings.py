"""What all workers behind one port have seen, told by whichever is asked.

A scrape reaches any worker. It asks the others on Unix sockets in a directory of their own, and tells each one's series with
its process id as `worker`: summed up here, a worker that ends would look like counters that go back.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

WAIT = 2.0
"""Seconds that a worker has to answer; one that does not is left out."""
_SUFFIX = ".sock"


class Siblings:
    """The workers that meet in `place`, this one among them. `told` is what this one has seen, for Prometheus."""

    def __init__(self, place: Path, told: Callable[[], bytes]) -> None:
        self._own = place / f"{os.getpid()}{_SUFFIX}"
        self._told = told
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._answer, self._own)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._own.unlink(missing_ok=True)

    async def text(self) -> bytes:
        """What Prometheus reads of all of them."""
        others = [path for path in sorted(self._own.parent.glob(f"*{_SUFFIX}")) if path != self._own]
        texts = await asyncio.gather(*(_asked(path) for path in others))
        found = {path.stem: text for path, text in zip(others, texts, strict=True) if text is not None}
        return together(found | {self._own.stem: self._told()})

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._told())
        writer.close()


async def _asked(path: Path) -> bytes | None:
    """What the worker behind this socket has seen; None when it does not say: one that was killed leaves its socket there."""
    try:
        async with asyncio.timeout(WAIT):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None


def together(texts: dict[str, bytes]) -> bytes:
    """One exposition (text format 0.0.4) of several: family by family, each line with the `worker` that said it."""
    heads: dict[str, list[str]] = {}
    lines: dict[str, list[str]] = {}
    for worker, text in texts.items():
        family = ""
        for line in text.decode().splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
                head = heads.setdefault(family, [])
                if line not in head:
                    head.append(line)
            elif line:
                lines.setdefault(family, []).append(_of(worker, line))
    return "".join(
        f"{line}\n" for name, head in heads.items() for line in [*head, *lines.get(name, ())]
    ).encode()


def _of(worker: str, line: str) -> str:
    """A sample with one label more; a name has neither brace nor blank in it."""
    name, brace, rest = line.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, rest = line.partition(" ")
    return f'{name}{{worker="{worker}"}} {rest}'
