"""Processes under supervision: started with their socket, started again when they die, renewed without a gap, and stopped.

The supervisor holds each listening socket for as long as it lives and hands it down, one socket to all workers of a
port. So callers queue while a process restarts, a worker that dies or hangs leaves its queue to the others, and one that
makes way for its successor loses nobody. With a socket each (SO_REUSEPORT) the kernel would spread connections
blindly, also to a worker that does not take them.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from visionality.cli.installation import CannotStart, report
from visionality.cli.serve import GO_FD, HOST, READY_FD, SOCKET_FD

READY_WITHIN = 30.0
STABLE = 3.0
"""Seconds a process must live for its restart delay to start over."""
LONGEST_DELAY = 10.0
LOG_LIMIT = 20_000_000
LOOK = 0.5
"""Seconds between two looks at the processes, at most."""
_DONE = object()
_S = TypeVar("_S", bound=socket.socket)

RETIRE = signal.SIGHUP
"""Tells a gateway worker to take no more connections, and to end when its calls have."""


@dataclass(slots=True)
class Run:
    """One process, from its start to its end."""

    process: subprocess.Popen[bytes]
    news: int | None
    """The descriptor on which it says that it serves; None when there is nothing more to hear."""
    started: float = field(default_factory=time.monotonic)
    serves: bool = False

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def hear(self) -> None:
        """Learn whether it serves, if it has said so by now."""
        if self.news is not None:
            with suppress(BlockingIOError):
                self.serves = os.read(self.news, 1) != b""
                self.forget()

    def forget(self) -> None:
        if self.news is not None:
            os.close(self.news)
            self.news = None

    def tell(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


@dataclass(slots=True)
class Child:
    """One place among the processes of the product: who has it, how it is started, where it listens, how it fares.

    `name` is the command and, for a worker beyond the first, its number: `gateway-2`. Without a `log` it says what it
    has to say where the supervisor does. `patience` is how many seconds it may take to end.
    """

    name: str
    sock: socket.socket
    environment: dict[str, str]
    log: Path | None
    patience: float = 10.0
    run: Run | None = None
    coming: Run | None = None
    """The successor, until it serves."""
    leaving: list[Run] = field(default_factory=list)
    """Those that finish the calls they have."""
    delay: float = 0.0
    due: float | None = None

    @property
    def command(self) -> str:
        return self.name.partition("-")[0]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.sock.getsockname()[1]}"

    @property
    def runs(self) -> list[Run]:
        return [run for run in (self.run, self.coming, *self.leaving) if run is not None]

    def start(self, *, go: int | None = None) -> None:
        """Start it. With `go`, it loads its code and waits for a byte on that descriptor before it touches the database."""
        self.run, self.due = self._started(go), None

    def _started(self, go: int | None = None) -> Run:
        """A process with its socket and its log, and with the promise that it ends when we do."""
        if self.log is not None and self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        news, telling = os.pipe()
        os.set_blocking(news, False)
        handed = {SOCKET_FD: self.sock.fileno(), READY_FD: telling}
        if go is not None:
            handed[GO_FD] = go
        supervisor = os.getpid()
        with ExitStack() as stack:
            stack.callback(os.close, telling)
            log = None if self.log is None else stack.enter_context(self.log.open("ab"))
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "visionality.cli", self.command],
                    env=self.environment | {name: str(number) for name, number in handed.items()},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=tuple(handed.values()),
                    preexec_fn=lambda: _end_with(supervisor),  # noqa: PLW1509 -- the supervisor has one thread
                    start_new_session=True,
                )
            except OSError:
                os.close(news)
                raise
        return Run(process, news)

    def watch(self, now: float) -> None:
        """See who has ended and who serves; restart what died, at once the first time, later with growing pauses."""
        self.leaving = [run for run in self.leaving if not run.has_ended]
        for run in self.runs:
            run.hear()
        self._take_over(now)
        if self.run is not None and self.run.has_ended:
            self._lost(self.run, now)
        if self.due is not None and now >= self.due:
            try:
                self.start()
            except OSError as error:
                self.due = now + LONGEST_DELAY
                report(f"{self.name} cannot be started ({error}); trying again in {LONGEST_DELAY:g} s")

    def renew(self) -> None:
        """Start a successor, which takes over as soon as it serves. Raises OSError."""
        self.coming = self._started()

    def _take_over(self, now: float) -> None:
        if self.coming is None:
            return
        if self.coming.serves:
            if self.run is not None:
                self.run.tell(RETIRE)
                self.leaving.append(self.run)
            self.run, self.coming = self.coming, None
        elif self.coming.has_ended or now - self.coming.started > READY_WITHIN:
            report(f"the new {self.name} did not start{self._see()}; the one that runs goes on")
            self.coming.process.kill()
            self.coming.process.wait()
            self.coming.forget()
            self.coming = None

    def _lost(self, run: Run, now: float) -> None:
        report(f"{self.name} ended with code {run.process.returncode}; starting it again{self._see()}")
        run.forget()
        self.run, self.coming = self.coming, None
        if self.run is None:
            self.delay = 0.0 if now - run.started > STABLE else min(max(0.5, self.delay * 2), LONGEST_DELAY)
            self.due = now + self.delay

    def _see(self) -> str:
        return "" if self.log is None else f" (log: {self.log})"

    def wait(self, until: float) -> None:
        """Return when all of its processes have ended; those that have not by then are killed."""
        for run in self.runs:
            try:
                run.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                report(f"{self.name} did not end in time; it is killed")
                run.process.kill()
                run.process.wait()
            run.forget()


@dataclass(slots=True)
class Children:
    """All of them, in the order in which they are stopped. To be used from the main thread only."""

    drain_seconds: float
    """How long a renewal waits for one worker to end before it goes on with the next."""
    members: list[Child] = field(default_factory=list)
    stopping: bool = False
    _asked_to_renew: bool = False
    _renewal: Iterator[None] | None = None
    _wakeup: int = -1
    _had_terminal: bool = False

    def heed_signals(self, stack: ExitStack) -> None:
        """SIGINT and SIGTERM stop, SIGHUP renews; a terminal that was closed stops too, unless `nohup` forbade it."""
        self._wakeup = _wakeup_pipe(stack)
        self._had_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGHUP, self._hung_up)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def start(self, *, go: int | None = None) -> None:
        for child in self.members:
            child.start(go=go)

    def pause(self, others: Iterable[_S] = ()) -> list[_S]:
        """Wait for a moment, a signal, a word from a process, or one of `others`; answers those of them."""
        news = [run.news for child in self.members for run in child.runs if run.news is not None]
        awaited = list(others)
        watched: list[int | socket.socket] = [self._wakeup, *news, *awaited]
        found, _, _ = select.select(watched, [], [], LOOK)
        _drain(self._wakeup)
        return [one for one in awaited if one in found]

    def all_serve(self, until: float) -> bool:
        """Whether each has said that it serves. Raises CannotStart for one that ended, and when it is later than `until`."""
        waiting = []
        for child in self.members:
            if child.run is not None:
                child.run.hear()
                if child.run.has_ended:
                    raise CannotStart(f"{child.name} did not start:\n{_tail(child.log)}")
                if not child.run.serves:
                    waiting.append(child.name)
        if waiting and time.monotonic() > until:
            raise CannotStart(f"not ready after {READY_WITHIN:g} s: {', '.join(waiting)}")
        return not waiting

    def watch(self) -> None:
        """Look after all of them once."""
        now = time.monotonic()
        for child in self.members:
            child.watch(now)
        if (
            self._renewal is None and self._asked_to_renew
        ):  # one that is asked for amid another comes after it
            self._asked_to_renew = False
            self._renewal = self._renew()
        if self._renewal is not None and next(self._renewal, _DONE) is _DONE:
            self._renewal = None

    def stop(self) -> None:
        """End one kind after the other."""
        for command in dict.fromkeys(child.command for child in self.members):
            kind = [child for child in self.members if child.command == command]
            for child in kind:
                for run in child.runs:
                    run.tell(signal.SIGTERM)
            began = time.monotonic()
            for child in kind:
                child.wait(began + child.patience)

    def _renew(self) -> Iterator[None]:
        """Renew one gateway worker after the other; one that cannot be replaced ends it, and the others stay."""
        workers = [child for child in self.members if child.command == "gateway"]
        report(f"renewing {len(workers)} gateway workers")
        for child in workers:
            before = child.run
            if before is None:  # it died, and is about to be a new one
                continue
            try:
                child.renew()
            except OSError as error:
                report(f"{child.name} cannot be renewed: {error}")
                return
            while child.coming is not None:
                yield
            if child.run is before:
                report("the renewal ended before its time: the workers that run go on")
                return
            until = time.monotonic() + self.drain_seconds
            while child.leaving and time.monotonic() < until:
                yield
        report("every gateway worker is a new one")

    def _asked_to_stop(self, _number: int, _frame: object) -> None:
        self.stopping = True

    def _hung_up(self, _number: int, _frame: object) -> None:
        if self._had_terminal and not _has_terminal():
            self.stopping = True
        else:
            self._asked_to_renew = True


def _wakeup_pipe(stack: ExitStack) -> int:
    """A descriptor that becomes readable at every signal, so that no signal waits for a time-out."""
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
        stack.callback(os.close, end)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    stack.callback(signal.set_wakeup_fd, previous)
    return reader


def _drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        while os.read(descriptor, 512):
            pass


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _end_with(supervisor: int) -> None:
    """In the child: end by SIGTERM when the supervisor does (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(1)


def _tail(log: Path | None) -> str:
    return "" if log is None else "\n".join(log.read_text(errors="replace").splitlines()[-15:])
