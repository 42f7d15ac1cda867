"""One candidate of ``--runtime auto`` timed in a child process (``models.runtimes.measure``), within a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from models.runtimes.host import cores
from models.runtimes.measure import Task, Timing
from models.runtimes.runner import Precision

_ROOT = str(Path(__file__).resolve().parents[2])
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime in a precision; AUTO is the runtime's own rule."""

    runtime: str
    precision: Precision

    def __str__(self) -> str:
        return self.runtime if self.precision is Precision.AUTO else f"{self.runtime}:{self.precision.value}"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one candidate. ``timings`` are those of the clips done in time; ``problem`` is what went wrong."""

    candidate: Candidate
    description: str = ""
    timings: tuple[Timing, ...] = field(default=())
    problem: str = ""

    @property
    def cost_s(self) -> float:
        """The least of any clip (others were disturbed); infinite where none was timed."""
        return min((timing.cost_s(cores()) for timing in self.timings), default=float("inf"))

    @property
    def top1(self) -> tuple[int, ...]:
        """The first choice for each clip timed."""
        return tuple(max(range(len(t.logits)), key=t.logits.__getitem__) for t in self.timings)


def try_out(task: Task, timeout_s: float) -> Trial:
    """Run the child and → what it found out until it ended or the time was over."""
    candidate = Candidate(task.runtime, task.precision)
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "models.runtimes.measure", task.model_dump_json()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, **_QUIET, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired as error:
        return _read(candidate, error.stdout or b"", f"not done within {timeout_s:.2g} s")
    complaints = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
    return _read(candidate, done.stdout, complaints[-1] if done.returncode else "")


def _read(candidate: Candidate, output: bytes, problem: str) -> Trial:
    """A line that was cut off, or that a library wrote, is passed over."""
    description, timings = "", []
    for line in output.decode(errors="replace").splitlines():
        try:
            timings.append(Timing.model_validate_json(line))
        except ValidationError:
            description = description or _text(line)
    return Trial(candidate, description, tuple(timings), problem)


def _text(line: str) -> str:
    try:
        value = json.loads(line)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""
