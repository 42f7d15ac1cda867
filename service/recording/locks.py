"""Who may write where: one service a data folder, one process a stream's recordings.

Locks of the kernel, which end with the process that holds them, however it ends. Some network and container mounts keep
none; then nobody could tell whether a file is still being written, so it is said and nothing is risked.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import IO

from service.errors_base import ServiceError

log = logging.getLogger(__name__)

LOCK_NAME = "lock"
_OLDER_LOCK_NAME = ".lock"  # of all recordings together
POLL_S = 0.05
_NOT_KEPT = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_HELD = frozenset({errno.EAGAIN, errno.EACCES})  # POSIX leaves open which of them it is


class DataDirInUse(ServiceError, BlockingIOError):
    """Another process runs on the same data folder."""


class DataDirUnusable(ServiceError, OSError):
    """It is no folder, or may not be written."""


class LocksNotKept(ServiceError, OSError):
    """The file system does not lock files."""

    def __str__(self) -> str:
        return str(self.strerror)  # a sentence, without the number that OSError puts in front


class DataDirLock:
    """An exclusive lock on the whole folder. Raises DataDirInUse, DataDirUnusable, LocksNotKept."""

    def __init__(self, data_dir: Path) -> None:
        try:
            self._file = _open(data_dir, LOCK_NAME)
        except OSError as error:
            expected = "ACTOSCOPE_DATA_DIR: expected a folder that can be written"
            raise DataDirUnusable(f"{expected}, got {data_dir} ({error.strerror})") from error
        try:
            held = not (_try_posix(self._file) and _try_lock(self._file))
        except OSError as error:
            self._file.close()
            raise _explained(error, data_dir, "set ACTOSCOPE_DATA_DIR to a folder on a local disk") from error
        if held:
            self._file.close()
            raise DataDirInUse(
                f"another Actoscope runs on the data folder {data_dir}: stop it, or set ACTOSCOPE_DATA_DIR to another"
            )

    def release(self) -> None:
        self._file.close()


class FolderLock:
    """Says "somebody writes into this stream's recordings" from ``acquire`` to ``release`` or the process's end.

    The stream's process holds it from its first segment on, a repair while it works. The file lies beside the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def acquire(self, timeout_s: float = 0.0) -> bool:
        """→ whether it is held now. Raises LocksNotKept, and OSError where the folder cannot be written."""
        if self._file is not None:
            return True
        deadline_s = time.monotonic() + timeout_s
        while True:
            file = _open(self._folder.parent, _beside(self._folder))
            try:
                held = _wait_for(file, deadline_s)
            except OSError as error:
                file.close()
                raise _explained(error, self._folder, "recordings need a folder on a file system that does") from error
            if held and _still_there(file, self._folder.parent / _beside(self._folder)):
                self._file = file
                return True
            file.close()
            if not held:
                return False  # else the file was removed before it was locked, and the next one counts

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def remove_unused(folder: Path, streams: Collection[str]) -> None:
    """Takes away, in the recordings ``folder``, locks and empty folders of streams that are not among ``streams``, and
    the one lock that older versions had for all of them."""
    used = {_beside(folder / stream_id) for stream_id in streams}
    locks = {path: folder / path.name[1:].removesuffix(".lock") for path in folder.glob(_beside(folder / "*"))}
    for path, of in {folder / _OLDER_LOCK_NAME: None, **locks}.items():
        try:
            if path.name not in used and path.exists() and not (of and _filled(of)):
                _remove(path, of)
        except OSError as error:
            log.warning("%s stays: %s", path, error)


def _remove(path: Path, of: Path | None) -> None:
    """A lock, and the empty folder that it is ``of``, unless somebody holds it."""
    with path.open("a+") as file:
        if _try_lock(file) and _still_there(file, path):
            if of is not None and of.is_dir():
                of.rmdir()
            path.unlink()  # while it is held: who waits for it sees that it is gone, and makes another


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _still_there(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _beside(folder: Path) -> str:
    return f".{folder.name}.lock"


def _open(folder: Path, name: str) -> IO[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / name).open("a+")


def _wait_for(file: IO[str], deadline_s: float) -> bool:
    while not _try_lock(file):
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(POLL_S)
    return True


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_posix(file: IO[str]) -> bool:
    """The kind that SQLite needs: without it every write would end in "database is locked". Let go of at once, since
    over NFS both kinds are one."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(file, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def _explained(error: OSError, folder: Path, remedy: str) -> OSError:
    if error.errno not in _NOT_KEPT:
        return error
    said = f"the file system of {folder} does not lock files ({error.strerror}): {remedy}"
    return LocksNotKept(error.errno, said)
