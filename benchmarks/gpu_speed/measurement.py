"""Clips a second over batch sizes, and beside them the matrix rate that the same chip and backend reach."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from benchmarks.gpu_speed.compiled import Call, compiled, on_device, ready

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CROPS_PER_SECOND, HOP = 25.0, 16  # of a live person: a clip is due every 16 crops


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured. ``clip_shape`` (T, H, W, 3); ``gmacs`` of one clip; ``matrix`` is the side of the product."""

    build: Callable[[], Any]
    clip_shape: tuple[int, int, int, int]
    gmacs: float
    batches: tuple[int, ...] = BATCHES
    repeats: int = 5
    matrix: int = 8192


@dataclass(frozen=True, slots=True)
class Rate:
    """One row. ``matrix_share``: multiply-adds a second, as a part of the chip's measured matrix rate in that format.

    ``people``: live people whose clips (one every 16 crops at 25 crops a second) that sustains. ``problem`` says why a
    row has no figures, for example that the batch does not fit into memory.
    """

    precision: str
    mode: str
    batch: int
    clips_per_s: float = 0.0
    matrix_share: float = 0.0
    people: float = 0.0
    problem: str = ""


def people(clips_per_s: float) -> float:
    """Live people who get a new clip classified every ``HOP`` crops."""
    return clips_per_s * HOP / CROPS_PER_SECOND


def matrix_tflops(precision: str, side: int, repeats: int = 10) -> float:
    """→ TFLOP/s of a product of two square matrices, the best that the chip can be hoped to do."""
    dtype = "bfloat16" if precision == "bf16" else "float32"
    generator = np.random.default_rng(0)
    left, right = (
        keras.ops.cast(on_device(generator.standard_normal((side, side), np.float32)), dtype) for _ in range(2)
    )
    seconds = per_call_s(lambda x: keras.ops.matmul(x, right), left, repeats)
    return 2.0 * side**3 / seconds / 1e12


def per_call_s(call: Call, argument: Any, repeats: int) -> float:
    """Seconds a call, the median of three runs of ``repeats`` queued calls; compiled and warmed up before."""
    ready(call(argument))
    ready(call(argument))
    return statistics.median(_run_s(call, argument, repeats) for _ in range(3)) / repeats


def _run_s(call: Call, argument: Any, repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        result = call(argument)
    ready(result)
    return time.perf_counter() - started


def rates(plan: Plan, precision: str, mode: str, tflops: float) -> Iterator[Rate]:
    """One row a batch size; a size that does not fit ends the series with the chip's own words."""
    call = compiled(plan.build, precision, mode)
    clips = np.random.default_rng(1).integers(0, 256, (max(plan.batches), *plan.clip_shape), np.uint8)
    for batch in plan.batches:
        try:
            seconds = per_call_s(call, on_device(clips[:batch]), plan.repeats)
        except (RuntimeError, ValueError, MemoryError) as error:  # each backend has its own class for "out of memory"
            yield Rate(precision, mode, batch, problem=str(error).splitlines()[0][:200])
            break
        per_s = batch / seconds
        share = 2 * plan.gmacs * per_s / 1e3 / tflops
        yield Rate(precision, mode, batch, per_s, share, people(per_s))
    del call
    gc.collect()
