"""A real file system with little room, to see what a full disk does."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

_BLOCK = bytes(1 << 16)


class NotAllowed(OSError):
    """No right to mount a small file system here."""


@contextmanager
def mounted_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """``folder`` with a file system of its own. Raises NotAllowed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotAllowed(f"no `mount` here: {error}") from None
    if done.returncode:
        raise NotAllowed(f"no right to mount a small file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """``mounted_disk`` for a test, which is skipped where mounting is not allowed."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(mounted_disk(folder, kilobytes))
        except NotAllowed as error:
            pytest.skip(str(error))
        yield disk


def fill(folder: Path, leave_kilobytes: int = 0) -> Path:
    """Writes until nothing fits any more, whoever else writes, then gives ``leave_kilobytes`` back. → the file that
    takes the room."""
    path = folder / "everything-else"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(_BLOCK) == len(_BLOCK):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        file.truncate(max(0, file.tell() - leave_kilobytes * 1024))
    return path
