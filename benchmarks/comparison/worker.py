"""One row in a process of its own: its load time and its memory are then its own."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Clip = NDArray[np.uint8]  # (T, H, W, 3) RGB
Floats = NDArray[np.float32]
Run = Callable[[Clip], Floats]

BOX = np.array([[0.3, 0.1, 0.6, 0.9]], np.float32)  # of the one person that a whole-scene network is asked about
LOAD_TIMEOUT_S, CLIP_TIMEOUT_S = 900.0, 300.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a process loads: a weights folder on a runtime, or (``folder`` None) the peer called ``runtime``."""

    folder: Path | None
    runtime: str
    precision: str
    cache_dir: Path
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network ready to run. ``parameters`` 0: counted elsewhere."""

    run: Run
    description: str
    labels: tuple[str, ...]
    parameters: int = 0


class Worker:
    """A running process. ``problem`` is not empty when it could not load."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process: BaseProcess = context.Process(target=serve, args=(far, job), daemon=True)
        self._process.start()
        far.close()  # so that a child that dies is noticed here
        self.load_s, self.description, self.parameters, self.problem = 0.0, "", 0, ""
        self.labels: tuple[str, ...] = ()
        answer = self._receive(LOAD_TIMEOUT_S)
        if isinstance(answer, str):
            self.problem = answer
        else:
            self.load_s, self.description, self.labels, self.parameters = answer

    def run(self, clip: Clip) -> tuple[Floats, float, float]:
        """→ logits (C,), wall seconds, CPU seconds. Raises RuntimeError with the child's words."""
        self._pipe.send(clip)
        answer = self._receive(CLIP_TIMEOUT_S)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer  # type: ignore[no-any-return]  # it came through a pipe

    def close(self) -> float:
        """→ the most memory that the process ever held, MB; 0 when it is gone already."""
        try:
            self._pipe.send(None)
            memory = self._receive(60.0)
        except OSError:
            memory = 0.0
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()
        return 0.0 if isinstance(memory, str) else float(memory)

    def _receive(self, timeout_s: float) -> Any:
        try:
            if not self._pipe.poll(timeout_s):
                return f"no answer within {timeout_s:.0f} s"
            return self._pipe.recv()
        except (EOFError, OSError):
            return "the process ended"


def serve(pipe: Connection, job: Job) -> None:
    """Child process: load, then answer each clip with its logits and times until None comes, then with its memory."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    started = time.perf_counter()
    try:
        loaded = _load(job)
    except Exception as error:  # noqa: BLE001  # the outermost frame of the child: its parent shall read why
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0][:300])
        return
    pipe.send((time.perf_counter() - started, loaded.description, loaded.labels, loaded.parameters))
    while (clip := pipe.recv()) is not None:
        try:
            wall, cpu = time.perf_counter(), time.process_time()
            logits = loaded.run(clip)
            pipe.send((logits, time.perf_counter() - wall, time.process_time() - cpu))
        except Exception as error:  # noqa: BLE001  # as above
            pipe.send(f"{type(error).__name__}: {error}".splitlines()[0][:300])
    pipe.send(peak_rss_mb())


def peak_rss_mb() -> float:
    """The most memory that this process held, MB. ``ru_maxrss`` would hold its parent's too, through fork and exec."""
    status = Path("/proc/self/status").read_text("utf-8")
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _load(job: Job) -> Loaded:
    if job.folder is None:
        from benchmarks.comparison.peers import load_peer  # noqa: PLC0415  # torch only where a peer runs

        return load_peer(job.runtime, job.threads)
    from models.classifier import ActionClassifier  # noqa: PLC0415  # its import is part of the load time

    classifier = ActionClassifier.load(
        job.folder, job.runtime, cache_dir=job.cache_dir, threads=job.threads, precision=job.precision
    )
    boxes = {"boxes": BOX} if classifier.card.input.kind == "scene" else {}
    return Loaded(lambda clip: classifier.logits(clip[None], **boxes)[0], classifier.runtime, classifier.labels)
