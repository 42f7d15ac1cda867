"""One network's rows, measured in turn with each other and with the anchor that all networks are held to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.comparison.clips import Clip, fitted
from benchmarks.comparison.rows import Key, Measured
from benchmarks.comparison.worker import Floats, Job, Worker


@dataclass(frozen=True, slots=True)
class Options:
    """``budget_s``: a network's rounds end when they took this long together (one round is always run)."""

    rounds: int = 5
    budget_s: float = 240.0
    cache_dir: Path = Path()
    threads: int | None = None


@dataclass
class _Running:
    """A row with its process and what it answered so far."""

    measured: Measured
    worker: Worker
    shape: tuple[int, ...]
    times: list[tuple[float, float]] = field(default_factory=list)
    logits: dict[str, Floats] = field(default_factory=dict)

    def run(self, name: str, clip: Clip) -> None:
        if self.measured.problem:
            return
        try:
            self.logits[name], *spent = self.worker.run(fitted(clip, self.shape))
        except RuntimeError as error:
            self.measured.problem = str(error)
            return
        self.times.append((spent[0], spent[1]))


def measure(
    rows: Mapping[Key, Job], shapes: Mapping[Key, tuple[int, ...]], clips: Mapping[str, Clip], options: Options
) -> dict[Key, Measured]:
    """→ every row's figures. The first row is the anchor; the reference of each network must be among the rows."""
    running = {key: _start(key, job, shapes[key]) for key, job in rows.items()}
    for item in running.values():  # not counted: the first clip pays for threads, tuning and page faults
        item.run(*next(iter(clips.items())))
        item.times.clear()
    started = time.monotonic()
    for _ in range(options.rounds):
        for name, clip in clips.items():
            for item in running.values():
                item.run(name, clip)
        if time.monotonic() - started > options.budget_s:
            break
    for item in running.values():
        _summarise(item)
    anchor = next(iter(running.values()))
    for key, item in running.items():
        own = running.get(Key(key.network, "tensorflow", "f32"))
        _compare(item, anchor, own)
    return {key: item.measured for key, item in running.items()}


def _start(key: Key, job: Job, shape: tuple[int, ...]) -> _Running:
    worker = Worker(job)
    measured = Measured(key.network, key.runtime, key.precision, worker.description, shape, problem=worker.problem)
    measured.load_s, measured.parameters = worker.load_s, worker.parameters
    return _Running(measured, worker, shape)


def _summarise(item: _Running) -> None:
    measured = item.measured
    measured.peak_rss_mb = item.worker.close()
    if measured.problem or not item.times:
        return
    measured.clip_s = statistics.median(wall for wall, _ in item.times)
    measured.cpu_s = statistics.median(cpu for _, cpu in item.times)
    measured.clips_per_s = 1 / measured.clip_s
    labels = item.worker.labels
    if labels:
        measured.labels = {name: labels[int(value.argmax())] for name, value in item.logits.items()}


def _compare(item: _Running, anchor: _Running, own: _Running | None) -> None:
    """Ratios of CPU time and differences of logits; a row without figures gets none."""
    measured = item.measured
    if not measured.cpu_s or not anchor.measured.cpu_s:
        return
    measured.anchor_ratio = measured.cpu_s / anchor.measured.cpu_s
    if own is None or not own.measured.cpu_s:
        return
    measured.own_ratio = measured.cpu_s / own.measured.cpu_s
    names = list(item.logits)
    differences = [float(np.abs(item.logits[name] - own.logits[name]).max()) for name in names]
    agree = [item.logits[name].argmax() == own.logits[name].argmax() for name in names]
    measured.largest_logit_difference = max(differences)
    measured.top1_agreement = sum(map(bool, agree)) / len(agree)
