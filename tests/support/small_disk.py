"""A real file system with little room, to see what a full disk does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """``folder``, made here, with a file system of its own. Skips the test where mounting is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave_kilobytes: int = 0) -> Path:
    """Use up the room of the file system but for ``leave_kilobytes``. → the file that takes it."""
    path = folder / "everything-else"
    room = shutil.disk_usage(folder).free - leave_kilobytes * 1024
    with path.open("wb") as file:
        for _ in range(room // 4096):
            file.write(b"x" * 4096)
    return path
