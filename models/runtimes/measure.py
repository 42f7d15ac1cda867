"""Time one runtime on one network: ``python -m models.runtimes.measure JSON``, started by ``models.runtimes.trial``.

A process of its own, because runtimes fix their threads once, keep their memory for good, and may crash. It writes one
JSON value a line to its standard output, each at once: first the runner's description, then a ``Timing`` a clip.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from models.runtimes.host import cores
from models.runtimes.load import load_runner
from models.runtimes.runner import Clips, RuntimeOptions
from models.runtimes.timing import Task, Timing
from models.weights.cards import ClipShape, read_card

CLIPS = 4


def moving_pictures(clip_shape: ClipShape, count: int = CLIPS) -> Clips:
    """→ uint8 (count, T, H, W, 3): soft coloured patches that drift, each clip with others.

    How long a network takes does not depend on what it sees, so the time needs no recorded clip; that runtimes agree is
    asked on these too, and pictures with shapes and motion make logits that differ more than noise does.
    """
    frames, height, width, channels = clip_shape
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    clips = np.empty((count, *clip_shape), np.uint8)
    for clip in clips:
        where, size, drift = rng.uniform(0, 1, (3, 2)), rng.uniform(0.05, 0.3, 3), rng.normal(0, 0.01, (3, 2))
        colours = rng.uniform(-160, 160, (3, channels)).astype(np.float32)
        for index in range(frames):
            picture = np.full((height, width, channels), 110, np.float32)
            for spot in range(3):
                y, x = (where[spot] + index * drift[spot]) * (height, width)
                away = ((rows - y) ** 2 + (columns - x) ** 2) / (size[spot] * height) ** 2
                picture += np.exp(-away)[..., None] * colours[spot]
            clip[index] = picture.clip(0, 255).astype(np.uint8)
    return clips


def measure(task: Task) -> None:
    """Load and time; see the module's text. Raises what ``load_runner`` raises."""
    card = read_card(task.folder)
    options = RuntimeOptions(task.precision, task.threads, task.cache_dir)
    runner = load_runner(card, task.runtime, options, task.clip_shape)
    _tell(json.dumps(runner.description))
    batch = runner.preferred_batch  # a GPU is the faster the more clips it gets at once
    whole = np.array([[0, 0, 1, 1]] * batch, np.float32) if card.input.kind == "scene" else None
    for clip in moving_pictures(task.clip_shape):
        clips = np.stack([clip] * batch)
        wall, cpu = time.perf_counter(), time.process_time()
        logits = runner(clips, whole)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        timing = Timing(wall_s=wall / batch, cpu_s=cpu / batch, logits=tuple(map(float, logits[0])))
        _tell(timing.model_dump_json())
        if task.give_up_s is not None and timing.cost_s(cores()) > task.give_up_s:
            return


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    measure(Task.model_validate_json(sys.argv[1]))
