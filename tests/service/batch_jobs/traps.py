"""Set by a job's configuration, which is a program: what kills the job, or who runs it, in the middle of an epoch."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from service.commands.progress import ProgressBar


def kill_in_epoch(number: int, fold: int, *, whole_machine: bool = False) -> None:
    """Of the first attempt of that fold. ``whole_machine``: Ray's process that runs it, as if its machine were gone."""
    told = (os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX"), os.environ.get("AWS_BATCH_JOB_ATTEMPT"))
    if told != (str(fold - 1), "1"):
        return
    victim = os.getppid() if whole_machine else os.getpid()

    def step(self: ProgressBar, name: str, done: int, total: int | None) -> None:
        if name.startswith(f"epoch {number} ") and done == 2:
            os.kill(victim, signal.SIGKILL)

    ProgressBar.step = step  # type: ignore[method-assign]


def dawdle_until(there: Path) -> None:
    """From its third epoch on each step takes seconds, as long as there is no such file."""
    step = ProgressBar.step

    def slowly(self: ProgressBar, name: str, done: int, total: int | None) -> None:
        if name.startswith("epoch ") and not name.startswith(("epoch 1 ", "epoch 2 ")) and not there.exists():
            time.sleep(5)
        step(self, name, done, total)

    ProgressBar.step = slowly  # type: ignore[method-assign]
