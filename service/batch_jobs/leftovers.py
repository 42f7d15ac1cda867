"""What jobs leave on their machine: that of a job that is done goes at once, that of others once there are many or they
are old, so that one that failed can be looked at.

Features and data sets stay: other jobs use them.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.training.batch.share import Share
from service.batch_jobs.scratch import Scratch

log = logging.getLogger(__name__)

KEPT = 20  # jobs that are not done
KEPT_S = 14 * 24 * 3600.0


@contextmanager
def working(scratch: Scratch, share: Share) -> Iterator[None]:
    """Inside, nobody takes away what the job works with. Several attempts of it may be here. Raises OSError."""
    lock = _lock(scratch.runs, share.name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def clear(scratch: Scratch, share: Share, model: str) -> None:
    """The job is done, and all of it is in the store. ``model``: its name."""
    folders = [scratch.runs / share.name, *([] if share.is_fold else [scratch.model(model)])]
    for folder in folders:
        _remove(folder, _lock(scratch.runs, share.name))


def sweep(root: Path, now: float | None = None) -> None:
    """Of jobs that are not done the newest ``KEPT`` stay, for ``KEPT_S`` at most. ``root``: where jobs of this machine
    work. What a job that runs works with stays in any case.
    """
    now = time.time() if now is None else now
    for kind in ("runs", "model"):
        aged = sorted(((_changed_s(folder), folder) for folder in _folders(root / kind)), reverse=True)
        for number, (changed_s, folder) in enumerate(aged):
            if number >= KEPT or now - changed_s > KEPT_S:
                runs = root / "runs" / folder.parent.name
                _remove(folder, _lock(runs, folder.name if kind == "runs" else Share().name))


def _folders(root: Path) -> list[Path]:
    return [folder for folder in root.glob("*/*") if folder.is_dir() and not folder.is_symlink()]


def _changed_s(folder: Path) -> float:
    """→ when something in it was written last, as a wall clock has it."""
    found = [folder, *folder.iterdir()]
    times = []
    for each in found:
        with contextlib.suppress(FileNotFoundError):
            times.append(each.stat().st_mtime)
    return max(times, default=0.0)


def _lock(runs: Path, share: str) -> Path:
    return runs / f".{share}.lock"


def _remove(folder: Path, lock: Path) -> None:
    """Unless a job works there."""
    try:
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
    except BlockingIOError:
        return
    except FileNotFoundError:  # there is no lock where there were no runs
        shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        log.warning("what a job has left in %s stays: %s", folder, error)
        return
    for parent in (folder.parent, lock.parent):
        with contextlib.suppress(OSError):  # another job's folder is there
            parent.rmdir()
