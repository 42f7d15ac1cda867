"""One candidate of ``--runtime auto`` timed in a child process (``models.runtimes.measure``), within a time limit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pydantic import ValidationError

from models.runtimes.host import cores
from models.runtimes.runner import Precision
from models.runtimes.timing import Task, Timing
from pipeline.errors import ChildError
from pipeline.python_child import run_python

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
    command = ["-m", "models.runtimes.measure", task.model_dump_json()]
    try:
        return _read(candidate, run_python(command, timeout_s=timeout_s, environment=_QUIET), "")
    except ChildError as error:
        return _read(candidate, error.output, f"not done within {timeout_s:.2g} s" if error.timed_out else str(error))


def _read(candidate: Candidate, output: str, problem: str) -> Trial:
    """A line that was cut off, or that a library wrote, is passed over."""
    description, timings = "", []
    for line in output.splitlines():
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
