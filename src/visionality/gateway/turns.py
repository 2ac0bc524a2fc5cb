"""How many calls begin before the event loop looks again for what has come.

Calls that come at once would all run up to their holds before the answer to the first commit is seen; then they wait for one
commit together, are sent together and come back together. A few at a time, each few has a commit of its own, and they part.
"""

import asyncio
from collections import deque
from collections.abc import Callable

AT_ONCE = 2
"""Calls that begin in one turn of the loop."""


class Turns:
    """Begins what is given to it, in order, a few in each turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._room = AT_ONCE
        self._waiting: deque[Callable[[], None]] = deque()

    def take(self, begin: Callable[[], None]) -> None:
        """Call `begin` now, or soon when this turn has had its few."""
        if not self._room:
            self._waiting.append(begin)
            return
        if self._room == AT_ONCE:
            self._loop.call_soon(self._next)
        self._room -= 1
        begin()

    def _next(self) -> None:
        self._room = AT_ONCE
        for _ in range(min(AT_ONCE, len(self._waiting))):
            self.take(self._waiting.popleft())
