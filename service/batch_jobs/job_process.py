"""A job as a process of the machine that this runs on: begun, looked at, told to go. It never outlives who began it."""

from __future__ import annotations

import contextlib
import csv
import ctypes
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from pipeline.files import write_atomically
from pipeline.python_child import ROOT
from service.batch_jobs.order import JobOrder, Look, Row, last_lines, told_of_itself
from service.batch_jobs.scratch import Scratch

MOST_LINES = 500  # of what a job prints that wait to be looked at; older ones are left out, as their numbers tell
COMPLAINTS = 20
NICENESS = 10  # cameras of the same machine come first
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class JobProcess:
    """``root``: the folder that jobs of this machine work in. Begin it in the main thread of a process that stays: its
    end, or that thread's, is the job's, at once. So no job goes on of which nobody knows.
    """

    def __init__(self, order: JobOrder, job: str, attempt: int, root: Path) -> None:
        """Raises OSError where it cannot be begun."""
        self._log = Scratch(root, order.output).log(order.share)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._printed = 0
        self._complaints: deque[str] = deque(maxlen=COMPLAINTS)
        self._lock = threading.Lock()
        self._log.unlink(missing_ok=True)  # of an earlier attempt on this machine
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *command_words(order, root)],
            env=_environment({**order.environment, **told_of_itself(order, job, attempt)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_with_us,  # noqa: PLW1509 - two system calls, and no lock
        )
        self._readers = [
            threading.Thread(target=_read, args=(self._process.stdout, self._print), daemon=True),
            threading.Thread(target=_read, args=(self._process.stderr, self._complaints.append), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def look(self, since: int) -> Look:
        """``since``: how many lines are known already."""
        status = self._process.poll()
        if status is not None:
            for reader in self._readers:
                reader.join(5)
        with self._lock:
            first = max(since, self._printed - len(self._lines))
            lines = tuple(self._lines)[len(self._lines) - (self._printed - first) :] if first < self._printed else ()
        return Look(first, lines, read_rows(self._log), status, last_lines([*self._complaints]), socket.gethostname())

    def stop(self) -> None:
        """Asks it to go; it keeps what it has learnt first. Asking twice changes nothing."""
        if self._process.poll() is None:
            self._process.terminate()

    def end(self, timeout_s: float) -> None:
        """Asks it to go, and sees to it."""
        self.stop()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _print(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            self._printed += 1


def _read(stream: IO[bytes] | None, keep: Callable[[str], object]) -> None:
    """Until the process closes it."""
    if stream is None:
        return
    with stream:
        for line in stream:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                keep(text)


def command_words(order: JobOrder, root: Path) -> tuple[str, ...]:
    """→ the order's words, its configuration written below ``root``. Raises OSError."""
    if order.config is None:
        return order.words
    name = hashlib.sha256(order.config.text.encode()).hexdigest()[:12]
    path = root / "configs" / name / order.config.name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, order.config.text)
    return (*order.words, order.config.option, str(path))


def read_rows(log: Path) -> tuple[Row, ...]:
    """→ a training's epochs by now; none where its log is not there yet."""
    with contextlib.suppress(FileNotFoundError):
        return rows_of(log.read_text("utf-8"))
    return ()


def rows_of(text: str) -> tuple[Row, ...]:
    return tuple({name: float(value) for name, value in row.items()} for row in csv.DictReader(text.splitlines()))


def _environment(additions: Mapping[str, str]) -> dict[str, str]:
    """Without what lets into Ray: a job needs nothing of it. A GPU may be others', too: memory as it is needed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_BATCH_JOB_"))}
    paths = [ROOT, kept.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    return {**kept, **own, **additions}


def _with_us() -> None:
    """In the child. SIGKILL, as whoever takes the job over must not meet it writing: a state is kept every epoch."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(NICENESS)
