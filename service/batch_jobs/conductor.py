"""Jobs until all are done: each begun on some machine, watched, and begun again where it went. Knows no Ray."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.batch_jobs.order import JobOrder, Look
from service.batch_jobs.outcome import End, end_of, words_of

LOOK_S = 1.0
STOP_S = 90.0  # for a batch to be learnt and its state to be kept
WAITS_S = 30.0  # without room on any machine, after which that is said


class MachineGone(Exception):
    """The machine, or Ray's process there, went with the job."""


class RunningJob(Protocol):
    """A job that some machine has, or will have."""

    def look(self, since: int) -> Look | None:
        """→ how it does, None: nothing new, or no machine has room for it yet. Raises MachineGone."""

    def stop(self) -> None:
        """Asks it to go."""

    def end(self) -> None:
        """It is over: what was kept for it may go, and so does the job where it runs still."""


class Machines(Protocol):
    def begin(self, order: JobOrder, attempt: int) -> RunningJob:
        """Some machine will run it, at once or when there is room."""


@dataclass(frozen=True, slots=True)
class Patience:
    """``attempts`` of each job, each of ``timeout_s`` at most."""

    attempts: int
    timeout_s: float


@dataclass(slots=True)
class _Task:
    order: JobOrder
    job: RunningJob
    begun_s: float
    attempt: int = 1
    lines: int = 0
    host: str = ""
    is_waiting: bool = False  # that was said
    end: End | None = None


class Cancelled(BaseException):
    """Somebody wants the jobs to stop; all of them have."""


class Conductor:
    """``tell``: a line for a person. ``cancel``: set by whoever wants the jobs to stop."""

    def __init__(
        self,
        machines: Machines,
        patience: Patience,
        tell: Callable[[str], None],
        cancel: threading.Event | None = None,
    ) -> None:
        self._machines = machines
        self._patience = patience
        self._tell = tell
        self._cancel = threading.Event() if cancel is None else cancel

    def run(self, orders: Sequence[JobOrder]) -> dict[str, End]:
        """→ how each ended, by name. Ctrl-C (KeyboardInterrupt) and ``cancel`` (Cancelled) stop all of them, each
        keeping what it has learnt, and are raised then.
        """
        tasks = [_Task(order, self._machines.begin(order, 1), time.monotonic()) for order in orders]
        try:
            while any(task.end is None for task in tasks):
                for task in tasks:
                    self._advance(task)
                time.sleep(LOOK_S)
                if self._cancel.is_set():
                    raise Cancelled
        except (KeyboardInterrupt, Cancelled):
            self._stop([task for task in tasks if task.end is None])
            raise
        finally:
            for task in tasks:
                if task.end is None:
                    task.job.end()
        return {task.order.name: task.end or End.FAILED for task in tasks}

    def _advance(self, task: _Task) -> None:
        if task.end is not None:
            return
        try:
            look = task.job.look(task.lines)
        except MachineGone as gone:
            self._again(task, f"{task.host or 'its machine'} is gone ({gone})")
            return
        if look is not None:
            self._hear(task, look)
        elif not task.host and not task.is_waiting and time.monotonic() - task.begun_s > WAITS_S:
            task.is_waiting = True
            self._tell(f"{task.order.name}: waits until a machine has room")
        if task.host and task.end is None and time.monotonic() - task.begun_s > self._patience.timeout_s:
            self._over(task, End.FAILED)
            self._tell(f"{task.order.name}: failed: not done within {self._patience.timeout_s:g} s")

    def _hear(self, task: _Task, look: Look) -> None:
        if not task.host:
            task.host, task.begun_s = look.host, time.monotonic()
            self._tell(f"{task.order.name}: attempt {task.attempt} on {look.host}")
        if look.first > task.lines:
            self._tell(f"{task.order.name}: … {look.first - task.lines} lines left out")
        for line in look.lines:
            self._tell(f"{task.order.name} | {line}")
        task.lines = look.first + len(look.lines)
        if look.status is None:
            return
        end = end_of(look.status)
        if end is End.AGAIN:
            self._again(task, f"{words_of(look.status)} on {task.host}{_below(look.complaint)}")
            return
        self._over(task, end)
        if end is End.FAILED:
            self._tell(f"{task.order.name}: failed: {words_of(look.status)} on {task.host}{_below(look.complaint)}")

    @staticmethod
    def _over(task: _Task, end: End) -> None:
        """Its room is another's now."""
        task.end = end
        task.job.end()

    def _again(self, task: _Task, why: str) -> None:
        """Another attempt, as long as there is one."""
        task.job.end()
        if task.attempt == self._patience.attempts:
            task.end = End.AGAIN
            self._tell(f"{task.order.name}: {why}; that was the last of {self._patience.attempts} attempts")
            return
        self._tell(f"{task.order.name}: {why}; the next attempt goes on")
        task.attempt, task.lines, task.host = task.attempt + 1, 0, ""
        task.job, task.begun_s = self._machines.begin(task.order, task.attempt), time.monotonic()

    def _stop(self, tasks: Sequence[_Task]) -> None:
        """Until all have kept what they have learnt, or STOP_S are over."""
        self._tell("stopping: " + ", ".join(task.order.name for task in tasks) + " (Ctrl-C again: at once)")
        left = [task for task in tasks if task.host]
        for task in left:
            task.job.stop()
        deadline_s = time.monotonic() + STOP_S
        while left and time.monotonic() < deadline_s:
            left = [task for task in left if not self._has_gone(task)]
            time.sleep(LOOK_S / 4)

    def _has_gone(self, task: _Task) -> bool:
        try:
            look = task.job.look(task.lines)
        except MachineGone:
            return True
        return look is not None and look.status is not None


def _below(complaint: str) -> str:
    return f":\n{complaint}" if complaint else ""
