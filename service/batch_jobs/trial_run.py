"""One trial of a tuning, epoch by epoch, on the machine that it was given to. Knows no Ray."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from models.errors import NotStoredError
from models.store.protocol import Store
from models.training.batch.trials import Progress, keep_progress, read_progress
from service.batch_jobs.job_process import rows_of
from service.batch_jobs.order import JobOrder, Look, Row
from service.batch_jobs.outcome import End, end_of, words_of

LOOK_S = 0.3
STOP_S = 60.0
ALL_EPOCHS, EARLY, FAILED = "all epochs", "no better epoch for long", "failed: "


class Process(Protocol):
    def look(self, since: int) -> Look: ...

    def end(self, timeout_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class TrialOrder:
    """``key``: of the trial in the tuning's store. ``epochs``: as many as it has at most. ``attempts``: of it in one
    run of the command, which ``command`` names, whether its process or its machine went.
    """

    number: int
    key: str
    job: JobOrder
    epochs: int
    attempts: int
    command: str = ""


class TrialRun:
    """What the store knows of the trial is told first, and only then it is learnt on: a trial that is taken up, on this
    machine or another, has told each epoch once more, and none is learnt twice.
    """

    def __init__(self, order: TrialOrder, store: Store, begin: Callable[[JobOrder, int], Process]) -> None:
        self._order = order
        self._store = store
        self._begin = begin
        known = read_progress(store, order.key)
        known = replace(known, ended="") if known.ended.startswith(FAILED) else known  # it may be mended
        if known.command != order.command:  # typed again: all attempts are there again
            known = replace(known, command=order.command, attempts=0)
        self._progress = known
        self._told = 0
        self._process: Process | None = None

    def next(self) -> tuple[Row | None, str]:
        """→ the next epoch, once it is over, and why it was the last (empty: there are more). The epoch is None where
        none followed. Raises StoreError, OSError.
        """
        while self._told >= len(self._progress.rows) and not self._progress.ended:
            self._look()
        if self._told >= len(self._progress.rows):
            return None, self._progress.ended
        row = self._progress.rows[self._told]
        self._told += 1
        while len(self._progress.rows) >= self._order.epochs and not self._progress.ended:
            self._look()  # its network is kept after its last epoch
        is_last = self._told == len(self._progress.rows)
        return row, self._progress.ended if is_last else ""

    def stop(self) -> None:
        """It keeps what it has learnt."""
        process, self._process = self._process, None
        if process is not None:
            process.end(STOP_S)

    def _look(self) -> None:
        """Waits a moment, and keeps what is new."""
        if self._process is None:
            if not self._has_attempts():
                return
            self._process = self._begin(self._order.job, self._progress.attempts)
        time.sleep(LOOK_S)
        look = self._process.look(0)
        progress = replace(self._progress, rows=_longer(self._progress.rows, look.rows))
        if look.status is not None:
            progress = self._ended(progress, look, look.status)
        if progress != self._progress:
            self._progress = progress
            keep_progress(self._store, self._order.key, progress)

    def _has_attempts(self) -> bool:
        """Takes one, which is kept before anything is begun: the machine may go at any time."""
        progress = self._progress
        if progress.attempts < self._order.attempts:
            self._progress = replace(progress, attempts=progress.attempts + 1)
        else:
            self._progress = replace(progress, ended=f"{FAILED}its machines went, in all {progress.attempts} attempts")
        keep_progress(self._store, self._order.key, self._progress)
        return not self._progress.ended

    def _ended(self, progress: Progress, look: Look, status: int) -> Progress:
        self._process = None
        end = end_of(status)
        if end is End.DONE:
            rows = _longer(progress.rows, self._whole_curve())
            return replace(progress, rows=rows, ended=ALL_EPOCHS if len(rows) >= self._order.epochs else EARLY)
        if end is End.AGAIN and progress.attempts < self._order.attempts:
            return progress
        last = look.complaint.splitlines()[-1:] or [""]
        return replace(progress, ended=f"{FAILED}{words_of(status)} on {look.host} {last[0]}".strip())

    def _whole_curve(self) -> tuple[Row, ...]:
        """→ what the job has left in the store when it was done."""
        try:
            return rows_of(self._store.read(f"{self._order.key}/{self._order.job.share.name}/log.csv")[0].decode())
        except NotStoredError:
            return ()


def _longer(known: tuple[Row, ...], found: tuple[Row, ...]) -> tuple[Row, ...]:
    return found if len(found) > len(known) else known
