"""How workers share one listening socket: each takes one connection at a time, and leaves it to another that has fewer.

Left to itself the event loop takes all that waits in one go: sixteen callers that keep their connections were seen to
end up with one worker of two. Each worker writes how many it has where the others see it.
"""

import asyncio
import socket
from collections.abc import Callable

from visionality.cli.tally import Tally

SHY = 0.005
"""Seconds in which a worker with fewer connections may take what came, before this one does."""
FULL = 1.0
"""Seconds until the next try when no connection can be taken, as with no descriptor left."""


class Door:
    """Takes connections of `sock` for `protocol`. `count` says how many there are."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        count: Callable[[], int],
        tally: Tally,
    ) -> None:
        self._sock = sock
        self._protocol = protocol
        self._count = count
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[object]] = set()
        self._waiting: asyncio.TimerHandle | None = None
        self._is_open = True
        sock.setblocking(False)
        self.tell()
        self._loop.add_reader(sock, self._somebody)

    def tell(self) -> int:
        """Let the others know how many this worker has; returns it. Nobody asks after one that takes no more."""
        count = self._count() + len(self._coming)
        if self._is_open:
            self._tally.say(count)
        return count

    def close(self) -> None:
        """Take no more. What waits is the others'."""
        if self._is_open:
            self._is_open = False
            if self._waiting is not None:
                self._waiting.cancel()
            else:
                self._loop.remove_reader(self._sock)
            self._sock.close()

    def _somebody(self) -> None:
        if self.tell() > self._tally.fewest():
            self._wait(SHY, self._take)
        else:
            self._take()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._sock)

        def again() -> None:
            self._waiting = None
            self._loop.add_reader(self._sock, self._somebody)
            then()

        self._waiting = self._loop.call_later(seconds, again)

    def _take(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another took it, or it left
            return
        except OSError:
            self._wait(FULL, self._somebody)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._coming.add(task)
        task.add_done_callback(self._came)
        self.tell()

    def _came(self, task: asyncio.Task[object]) -> None:
        self._coming.discard(task)
        if not task.cancelled():
            task.exception()  # a client that has left already is nobody's trouble
