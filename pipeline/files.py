"""Files that are whole or not there: checksums, writing by one rename, and folders that are made once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

Content = bytes | str | Callable[[IO[bytes]], object]


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the disk inside say which file they are about: a failed write alone does not."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:  # without a number it has words of its own
            error.filename = str(path)
        raise


def write_atomically(path: Path, content: Content) -> None:
    """Write bytes, text (UTF-8) or what ``content(file)`` writes, so that ``path`` holds either its old content or all
    of the new, on disk when this returns. Several threads and processes may write the same path. Raises OSError, and
    what ``content`` raises, with nothing left beside ``path``.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with naming(path), part.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def kept_folder(root: Path, name: str, make: Callable[[Path], None], files: Sequence[str] = ()) -> Path:
    """→ ``root/name``, filled by ``make(folder)`` unless it is there with all of ``files`` in it.

    It appears by one rename. Of several threads and processes that want it at once one makes it, the others wait for
    that one. Raises what ``make`` raises, and OSError where ``root`` cannot be written; neither leaves anything behind.
    """
    folder = root / name
    if _is_whole(folder, files):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / f".{name}.lock"):
        if not _is_whole(folder, files):  # else another was making it meanwhile
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as work:
                fresh = Path(work) / "fresh"  # unlike ``work`` it is readable for whoever may read ``root``
                fresh.mkdir()
                make(fresh)
                shutil.rmtree(folder, ignore_errors=True)  # one that somebody took a file out of
                fresh.rename(folder)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one holder of ``path`` at a time, over threads and processes; who dies lets go. Its file is gone then."""
    descriptor = _acquire(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: who waits for it finds out and begins anew
        os.close(descriptor)


def default_cache_dir() -> Path:
    """Where converted networks live when the caller names no folder (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actoscope"


def _is_whole(folder: Path, files: Sequence[str]) -> bool:
    return folder.is_dir() and all((folder / file).exists() for file in files)


def _acquire(path: Path) -> int:
    """→ file descriptor of the lock, which closing it gives back."""
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_file_at(descriptor, path):
                return descriptor
        except BaseException:  # Ctrl-C while waiting too
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_file_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one of that name: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
