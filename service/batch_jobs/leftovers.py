"""What jobs leave on their machine: that of a job that is done goes at once, that of others once there are many or they
are old, so that one that failed can be looked at.

Features and data sets stay: other jobs use them.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
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
HOLD_TRIES = 100
_OWN = re.compile(r"[0-9a-f]{12}")  # ``Scratch.own``: whatever else lies there is not ours


@contextmanager
def working(scratch: Scratch, share: Share) -> Iterator[None]:
    """Inside, nobody takes away what the job works with. Several attempts of it may be here. Raises OSError."""
    descriptor = _held(_lock(scratch.runs, share.name))
    try:
        yield
    finally:
        os.close(descriptor)


def _held(lock: Path) -> int:
    """→ the lock's file, held with others; not one that somebody who tidied up has taken away. Raises OSError."""
    for _ in range(HOLD_TRIES):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the folder has just gone
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _is_at(descriptor, lock):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise OSError(f"{lock} is taken away again and again")


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def clear(scratch: Scratch, share: Share, model: str) -> None:
    """The job is done, and all of it is in the store. ``model``: its name."""
    folders = [scratch.runs / share.name, *([] if share.is_fold else [scratch.model(model)])]
    for folder in folders:
        _remove(folder, _lock(scratch.runs, share.name))


def sweep(root: Path, now: float | None = None) -> None:
    """Of jobs that are not done the newest ``KEPT`` stay, for ``KEPT_S`` at most. ``root``: where jobs of this machine
    work. What a job that runs works with stays in any case; no job fails because of what others have left.
    """
    try:
        _sweep(root, time.time() if now is None else now)
    except OSError as error:
        log.warning("what jobs have left in %s stays: %s", root, error)


def _sweep(root: Path, now: float) -> None:
    for kind in ("runs", "model"):
        aged = sorted(((_changed_s(folder), folder) for folder in _folders(root / kind)), reverse=True)
        for number, (changed_s, folder) in enumerate(aged):
            if number >= KEPT or now - changed_s > KEPT_S:
                runs = root / "runs" / folder.parent.name
                _remove(folder, _lock(runs, folder.name if kind == "runs" else Share().name))


def _folders(root: Path) -> list[Path]:
    found = (folder for folder in root.glob("*/*") if _OWN.fullmatch(folder.parent.name))
    return [folder for folder in found if folder.is_dir() and not folder.is_symlink()]


def _changed_s(folder: Path) -> float:
    """→ when something in it was written last, as a wall clock has it."""
    times = []
    with contextlib.suppress(OSError):  # another job of it is done, and clears it
        for each in (folder, *folder.iterdir()):
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
