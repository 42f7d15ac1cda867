"""Whether ``ONEDNN_MAX_CPU_ISA`` really limits what the networks use here: found out by the time of one clip."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.live_cameras.rows import AVX2, NATIVE
from service.configuration import EngineConfig
from service.engine import load_classifier, load_detector, load_encoder
from tests.support.places import REPOSITORY

VARIABLE = "ONEDNN_MAX_CPU_ISA"
SLOWER = 1.25  # a limit under which a clip takes less than so many times as long is none
ROUNDS = 3


def limited(isa: str) -> dict[str, str]:
    """→ the environment that limits a process to ``isa``."""
    return {} if isa == NATIVE else {VARIABLE: isa.upper()}


def distinct(flags: list[str], clip_s: dict[str, float]) -> list[str]:
    """→ the instruction sets worth a row each. ``clip_s``: CPU seconds of a clip under each; empty: not measured."""
    if not any(flag.startswith(("avx512", "amx")) for flag in flags):
        return [NATIVE]  # it is AVX2, or less
    return [NATIVE, AVX2] if clip_s.get(AVX2, 0.0) >= SLOWER * clip_s.get(NATIVE, float("inf")) else [NATIVE]


def measured_clips(cache: Path) -> dict[str, float]:
    """→ CPU seconds of one clip of the full network, without a limit and with it, each in a process of its own.

    Without what does not run at all: OpenVINO 2026.4 dies of some networks under a limit (``without_mvn``).
    """
    return {isa: clip_s for isa in (NATIVE, AVX2) if (clip_s := _in_process(isa, cache)) is not None}


def _in_process(isa: str, cache: Path) -> float | None:
    command = [sys.executable, "-m", "benchmarks.live_cameras.isa", str(cache)]
    environment = {**os.environ, **limited(isa)}
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=isa == NATIVE
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def clip_cpu_s(cache: Path) -> float:
    """→ CPU seconds of one clip of ``weights/surveillance`` in OpenVINO on one thread, the quickest of a few."""
    config = EngineConfig(REPOSITORY / "weights", cache, runtime="openvino", threads=1)
    picture = np.zeros((720, 1280, 3), np.uint8)
    load_detector(config).detect([picture])
    load_encoder(config).encode(picture, np.array([[0, 0, 60, 120]], np.float32))
    classifier = load_classifier(config, config.model)
    clip = np.zeros((1, *classifier.card.clip_shape), np.uint8)  # (1, T, H, W, 3)
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        classifier.predict(clip)
        times.append(time.process_time() - begin)
    return min(times)


if __name__ == "__main__":
    print(clip_cpu_s(Path(sys.argv[1])))
