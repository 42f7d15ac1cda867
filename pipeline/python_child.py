"""Python in a process of its own, so that what it imports, its threads, its memory and its crashes leave with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from pipeline.errors import ChildError

ROOT = str(Path(__file__).resolve().parents[1])  # where our packages lie, installed or not
_POLL_S = 0.1

OnLine = Callable[[str], None]


def run_python(
    arguments: Sequence[str],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    on_line: OnLine | None = None,
) -> str:
    """Run ``python ARGUMENTS`` (``-m module …`` or ``-c statement …``), our packages importable → its stdout.

    ``environment`` is added to this process's own; stdin is closed. ``on_line`` hears each line of stdout soon after it
    was written. Raises ChildError when the child fails or is not done within ``timeout_s``, and what ``on_line``
    raises. However this is left (Ctrl-C too), the child is gone then.
    """
    ends = time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
        lines = _Lines(output, on_line)
        child = subprocess.Popen(
            [sys.executable, *arguments],
            env=_environment(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,  # files, no pipes: nothing fills up, and no grandchild keeps us waiting for their end
            stderr=complaints,
        )
        try:
            while child.poll() is None and time.monotonic() < ends:
                _wait(child, min(_POLL_S, ends - time.monotonic()))
                lines.tell()
            timed_out = child.poll() is None
        finally:
            child.kill()  # does nothing to one that has ended
            child.wait()
        if timed_out or child.returncode != 0:
            raise ChildError(_text(output), _text(complaints), child.returncode, timed_out=timed_out)
        lines.tell(rest=True)
        return _text(output)


class _Lines:
    """Tells the lines of a file that another process is writing to."""

    def __init__(self, file: IO[bytes], on_line: OnLine | None) -> None:
        self._descriptor = file.fileno()
        self._on_line = on_line
        self._told = 0  # bytes

    def tell(self, *, rest: bool = False) -> None:
        """What has been completed since the last call; with ``rest`` also a last line without an end."""
        if self._on_line is None:
            return
        size = os.fstat(self._descriptor).st_size
        new = os.pread(self._descriptor, size - self._told, self._told)  # the writer shares the file's position
        whole = new if rest else new[: new.rfind(b"\n") + 1]
        self._told += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self._on_line(line)


def _environment(additions: Mapping[str, str]) -> dict[str, str]:
    paths = [ROOT, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **additions, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _wait(child: subprocess.Popen[bytes], timeout_s: float) -> None:
    try:
        child.wait(max(0.0, timeout_s))
    except subprocess.TimeoutExpired:
        return


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
