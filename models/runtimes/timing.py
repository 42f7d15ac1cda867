"""What a process that times one runtime is told, and what it says: one JSON value each."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.runtimes.runner import Precision
from models.weights.cards import ClipShape


class Task(BaseModel):
    """What to time. ``give_up_s``: a first clip that costs more ends the measurement, there are better ones."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    runtime: str
    precision: Precision
    clip_shape: ClipShape
    cache_dir: Path | None
    threads: int | None
    give_up_s: float | None = None


class Timing(BaseModel):
    """One clip: seconds of wall clock and of CPU (all threads), and its logits (C)."""

    model_config = ConfigDict(frozen=True)

    wall_s: float
    cpu_s: float
    logits: tuple[float, ...]

    def cost_s(self, machine_cores: int) -> float:
        """What a clip costs: the time until its answer and the share that it takes of the whole machine.

        Wall clock alone would favour a runtime that keeps every core busy for little, CPU time alone one that leaves
        cores idle (or the work to a GPU) while people wait for their labels.
        """
        return self.wall_s + self.cpu_s / machine_cores
