"""Keeps one child process alive: starts it, hears it, watches it, starts it again after a pause, reaps it.

What is particular to a kind of process (what it is told, what its reports mean, when it hangs) is in the classes that
inherit: ``StreamRunner`` and ``InferenceRunner``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from service.processes.child_process import ChildProcess, RestartPolicy
from service.processes.messages import ChildSetup, Stop
from service.processes.start_turns import StartTurns

log = logging.getLogger(__name__)

WATCH_PERIOD_S = 1.0
KILLED_S = 0.6  # how long a killed process may take to be gone


@dataclass(frozen=True, slots=True)
class Ended:
    """``status``: the exit status, negative for a signal, None where no process could be started."""

    status: int | None
    problem: str = ""

    def __str__(self) -> str:
        if self.status is None:
            return f"cannot be started: {self.problem}"
        return f"was ended by signal {-self.status}" if self.status < 0 else f"exited with status {self.status}"


class ManagedChild(ABC):
    """One task a child. All methods run on the API's event loop."""

    module: ClassVar[str]  # run as ``python -m module FD``
    stop_grace_s: ClassVar[float]

    def __init__(self, name: str, turns: StartTurns | None = None) -> None:
        self.name = name
        self._turns = turns or StartTurns(1)  # one of its own is always free
        self.restarts = 0
        self.pid: int | None = None
        self._policy = RestartPolicy()
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    # -- what differs

    @abstractmethod
    def setup(self) -> ChildSetup:
        """What a new process is told."""

    @abstractmethod
    async def handle(self, report: Any) -> None:
        """One report. Whatever it raises ends the process, and a new one is started."""

    @abstractmethod
    def hang(self, child: ChildProcess) -> str | None:
        """→ why the process is to be killed now, None while it does well. Asked once a second."""

    @abstractmethod
    async def crashed(self, end: Ended, delay_s: float, broken: bool) -> None:
        """The process is gone and is started again in ``delay_s``; ``broken``: it crashes again and again."""

    def started(self) -> None:  # noqa: B027 - most kinds have nothing to do here
        """A new process runs; nothing of what the one before said holds any more."""

    def ended(self) -> None:  # noqa: B027
        """The process is gone, for whatever reason."""

    def is_over(self, end: Ended) -> bool:
        """Whether a process that ended so by itself has done its work."""
        return False

    # -- what is the same for all

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self.name)

    def command(self, content: object) -> None:
        """To the process that runs now, if one does."""
        if self._child is not None:
            self._child.command(content)

    async def stop(self) -> None:
        """Returns within ``stop_grace_s`` and a moment, whatever the process does."""
        self._stopping.set()
        self.command(Stop())
        if self._task is not None:
            await self._end(self._task)

    async def _end(self, task: asyncio.Task[None]) -> None:
        done, _ = await asyncio.wait({task}, timeout=self.stop_grace_s)
        if not done:
            if self._child is not None:
                self._child.kill()
            done, _ = await asyncio.wait({task}, timeout=KILLED_S)
        if not done:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while not self._stopping.is_set():
            end = await self._run_once()
            if self._stopping.is_set() or self.is_over(end):
                return
            delay_s, broken = self._policy.crashed(time.monotonic())
            self.restarts += 1
            log.error("%s %s; it is started again in %.2g s", self.name, end, delay_s)
            await self._guarded(self.crashed(end, delay_s, broken))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _run_once(self) -> Ended:
        async with self._turns.turn(self._stopping) as give_back:
            return Ended(0) if give_back is None else await self._run_child(give_back)

    async def _run_child(self, give_back: Callable[[], None]) -> Ended:
        async def hear(report: Any) -> None:
            give_back()
            await self.handle(report)

        try:
            child = self._child = await ChildProcess.start(self.module, self.setup())
        except OSError as error:
            return Ended(None, str(error))
        self.pid = child.pid
        self.started()
        if self._stopping.is_set():
            child.command(Stop())
        watchdog = asyncio.create_task(self._watch(child), name=f"{self.name} watchdog")
        try:
            await child.messages(hear)
            return Ended(await child.reap())
        except Exception:  # a report that cannot be dealt with: never leave a process that nobody listens to or stops
            log.exception("a report of %s (process %d) failed; the process is ended", self.name, child.pid)
            child.kill()
            return Ended(await child.reap())
        finally:
            watchdog.cancel()
            self._child, self.pid = None, None
            self.ended()

    async def _watch(self, child: ChildProcess) -> None:
        while True:
            await asyncio.sleep(WATCH_PERIOD_S)
            reason = self.hang(child)
            if reason is not None:
                log.error("%s (process %d) %s: killed", self.name, child.pid, reason)
                child.kill()
                return

    async def _guarded(self, telling: Awaitable[None]) -> None:
        """Whoever is told of a crash may fail; the process is started again all the same."""
        try:
            await telling
        except Exception:
            log.exception("the crash of %s could not be told", self.name)
