"""Time bounds of the calls in flight. One look at all of them every tenth of a second costs less than a timer a call."""

import asyncio
import math

LOOK = 0.1
"""Seconds between looks: no bound is kept more finely."""
NEVER = math.inf


class Deadline:
    """When what a call is doing now must be over. A task that is late is cancelled; `passed` tells why it was."""

    __slots__ = ("at", "passed", "task")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.at = NEVER
        self.passed = False

    def cut(self) -> None:
        """It is over now."""
        self.at = NEVER
        if not self.passed:
            self.passed = True
            self.task.cancel()

    def caught(self) -> bool:
        """Whether the cancellation that was just caught is ours; then it is settled, and the next stage may begin."""
        self.at = NEVER
        if not self.passed:
            return False
        self.passed = False
        self.task.uncancel()
        return True


class Deadlines:
    """Those of one process."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in [one for one in self._open if one.at <= now]:
            deadline.cut()
        self._timer = loop.call_later(LOOK, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def begin(self) -> Deadline:
        """A deadline for the running task. It is ended with `end`, whatever happens."""
        task = asyncio.current_task()
        assert task is not None
        deadline = Deadline(task)
        self._open.add(deadline)
        return deadline

    def end(self, deadline: Deadline) -> None:
        self._open.discard(deadline)
