"""SE-I3D on real clips: TensorFlow f32, OpenVINO f32 and OpenVINO bf16 side by side.

    python benchmarks/classifier.py [--rounds 5] [--clips ../shared/data/kinetics] [--threads N]

Each configuration loads in a process of its own (its load time and peak memory are then its own), with its converted
network already on disk. Rounds alternate between configurations, so that a busy moment of the machine hits all alike;
the medians are printed as a table and written to benchmarks/results/classifier.json. Differences are to TensorFlow f32.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from models.cards import read_card  # noqa: E402  # the repository root is on the path only now
from tests.models.clips import read_clip, read_video  # noqa: E402

CONFIGURATIONS = (("tensorflow", "f32"), ("openvino", "f32"), ("openvino", "bf16"))


@dataclass
class Result:
    """What one configuration measured; times in seconds, memory in MB."""

    runtime: str
    precision: str
    description: str = ""
    load_s: float = 0.0
    peak_rss_mb: float = 0.0
    clip_s: float = 0.0
    cpu_s: float = 0.0
    clips_per_s: float = 0.0
    speed_ratio: float = 1.0
    largest_logit_difference: float = 0.0
    top1_agrees: bool = True
    labels: dict[str, str] = field(default_factory=dict)


def serve(pipe: Connection, folder: Path, runtime: str, precision: str, threads: int | None) -> None:
    """Child process: load, then answer each clip array with its logits and times until None comes."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    started = time.perf_counter()
    from models.classifier import ActionClassifier  # noqa: PLC0415  # its import is part of the load time

    classifier = ActionClassifier.load(folder, runtime, threads=threads, precision=precision)
    pipe.send((time.perf_counter() - started, classifier.runtime, classifier.labels))
    while (clip := pipe.recv()) is not None:
        wall, cpu = time.perf_counter(), time.process_time()
        logits = classifier.logits(clip[None])[0]
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        pipe.send((logits, wall, cpu))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def read_clips(folder: Path) -> dict[str, np.ndarray]:
    """By file name: uint8 (64, 224, 224, 3)."""
    clips = {path.stem: read_clip(path) for path in sorted(folder.glob("*.mp4"))}
    clips.update({path.stem: read_video(path)[0][:64] for path in sorted(folder.glob("*.gif"))})
    if not clips:
        raise SystemExit(f"{folder} holds no .mp4 or .gif: give a folder of clips with --clips")
    return clips


def measure(arguments: argparse.Namespace, clips: dict[str, np.ndarray]) -> list[Result]:
    context = multiprocessing.get_context("spawn")
    results = [Result(*configuration) for configuration in CONFIGURATIONS]
    pipes, children, labels = [], [], ()
    for result in results:
        pipe, far = context.Pipe()
        work = (far, arguments.weights, result.runtime, result.precision, arguments.threads)
        child = context.Process(target=serve, args=work, daemon=True)
        child.start()
        result.load_s, result.description, labels = pipe.recv()
        pipes.append(pipe)
        children.append(child)
    times: list[list[tuple[float, float]]] = [[] for _ in results]
    logits: list[dict[str, np.ndarray]] = [{} for _ in results]
    for _ in range(arguments.rounds):
        for name, clip in clips.items():
            for index, pipe in enumerate(pipes):
                pipe.send(clip)
                logits[index][name], *spent = pipe.recv()
                times[index].append(tuple(spent))
    for index, (result, pipe, child) in enumerate(zip(results, pipes, children, strict=True)):
        pipe.send(None)
        result.peak_rss_mb = pipe.recv()
        child.join()
        summarise(result, times[index], logits[index], logits[0], labels)
        result.speed_ratio = result.clips_per_s / results[0].clips_per_s
    return results


def summarise(
    result: Result,
    times: list[tuple[float, float]],
    logits: dict[str, np.ndarray],
    reference: dict[str, np.ndarray],
    labels: tuple[str, ...],
) -> None:
    result.clip_s = statistics.median(wall for wall, _ in times)
    result.cpu_s = statistics.median(cpu for _, cpu in times)
    result.clips_per_s = 1 / result.clip_s
    result.largest_logit_difference = max(float(np.abs(logits[name] - reference[name]).max()) for name in logits)
    result.top1_agrees = all(logits[name].argmax() == reference[name].argmax() for name in logits)
    result.labels = {name: labels[int(value.argmax())] for name, value in logits.items()}


def machine() -> dict[str, Any]:
    cpu_info = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in cpu_info.splitlines() if "model name" in line), "")
    flags = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if f" {flag}" in cpu_info]
    packages = {name: version(name) for name in ("tensorflow", "keras", "openvino", "numpy")}
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "flags": flags,
        "python": platform.python_version(),
        **packages,
    }


def table(results: list[Result]) -> str:
    columns = (("clip s", 8), ("clips/s", 9), ("ratio", 7), ("CPU s", 7), ("load s", 8), ("RSS MB", 8))
    head = f"{'configuration':<44}" + "".join(f"{name:>{width}}" for name, width in columns)
    head += f"{'logit diff':>12}{'top-1':>7}"
    rows = [
        f"{r.description:<44}{r.clip_s:>8.3f}{r.clips_per_s:>9.2f}{r.speed_ratio:>7.2f}{r.cpu_s:>7.2f}{r.load_s:>8.1f}"
        f"{r.peak_rss_mb:>8.0f}{r.largest_logit_difference:>12.1e}{'same' if r.top1_agrees else 'OTHER':>7}"
        for r in results
    ]
    return "\n".join([head, *rows])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=REPOSITORY / "weights" / "i3d-kinetics400")
    parser.add_argument("--clips", type=Path, default=REPOSITORY.parent / "shared" / "data" / "kinetics")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "classifier.json")
    arguments = parser.parse_args()
    clips = read_clips(arguments.clips)

    from models.runtime_openvino import converted  # noqa: PLC0415  # the children must not pay for it

    card = read_card(arguments.weights)
    converted(card, card.clip_shape, card.folder / "openvino")  # so that load times are those of a second start
    results = measure(arguments, clips)
    print(table(results))
    report = {"machine": machine(), "rounds": arguments.rounds, "clips": len(clips)}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(
        json.dumps({**report, "results": [asdict(r) for r in results]}, indent=2) + "\n", "utf-8"
    )
    return 0 if all(result.top1_agrees for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
