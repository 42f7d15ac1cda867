"""What reusing the stem of overlapping clips saves: each precision of OpenVINO with and without it, side by side.

    python benchmarks/overlap.py [--weights weights/surveillance] [--hops 16 32] [--rounds 3] [--threads N]

The clips are consecutive ones of samples/street.mp4, as a track gives them to the service. Both ways run in a process
of their own and take turns clip by clip, so that a busy moment of the machine hits both alike; CPU seconds are medians
over clips that follow another, "first" is a track's first clip, which can reuse nothing. The differences are those of
the logits with reuse to those without, in the same precision. Writes benchmarks/results/overlap.json.
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
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from models.runtimes.overlap import Place  # noqa: E402
from models.weights.cards import read_card  # noqa: E402  # the repository root is on the path only now
from tests.models.clips import read_video  # noqa: E402

PRECISIONS = ("f32", "bf16", "int8")
KEPT_BYTES = 1_000_000_000  # enough for every track here


@dataclass(frozen=True)
class Job:
    """What a process loads."""

    folder: Path
    cache_dir: Path
    precision: str
    reuse: bool
    threads: int | None


@dataclass(frozen=True)
class Answer:
    """One clip: logits float32 (C,), CPU and wall seconds, stem steps computed for it."""

    logits: NDArray[np.float32]
    cpu_s: float
    wall_s: float
    steps: int


@dataclass
class Row:
    """One precision at one hop; CPU seconds a clip, memory in MB."""

    description: str
    hop: int
    clips: int
    plain_cpu_s: float
    first_cpu_s: float
    reuse_cpu_s: float
    saved: float
    steps_a_clip: float
    largest_logit_difference: float
    top1_agreement: float
    plain_load_s: float
    reuse_load_s: float
    plain_rss_mb: float
    reuse_rss_mb: float
    kept_mb_a_track: float


def serve(pipe: Connection, job: Job) -> None:
    """Child process: load, then answer (clip, place) pairs until None comes; at the end memory and what is kept."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from models.classifier import ActionClassifier  # noqa: PLC0415  # the parent must not load it

    begin = time.perf_counter()
    try:
        classifier = ActionClassifier.load(job.folder, "openvino", job.cache_dir, job.threads, job.precision)
    except (RuntimeError, ValueError) as error:
        pipe.send(str(error))
        return
    plain = classifier.runtime
    if job.reuse:
        classifier.reuse_stems(KEPT_BYTES)
    pipe.send(("", plain, time.perf_counter() - begin))
    while (work := pipe.recv()) is not None:
        pipe.send(answer(classifier, *work))
    kept = 0.0 if classifier.stems is None else classifier.stems.stats().memory_bytes / classifier.stems.stats().tracks
    pipe.send((rss_mb(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, kept / 1e6))


def answer(classifier: Any, clip: NDArray[np.uint8], place: Place) -> Answer:
    """uint8 (T, H, W, 3), and where on its track it lies."""
    stems = classifier.stems
    before = 0 if stems is None else stems.stats().steps_computed
    wall, cpu = time.perf_counter(), time.process_time()
    logits = classifier.logits(clip[None]) if stems is None else stems.run(clip[None], [place])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = len(clip) // 2 if stems is None else stems.stats().steps_computed
    return Answer(logits[0], cpu, wall, after - before)


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Worker:
    """A loaded process; ``problem`` says why there is none."""

    def __init__(self, job: Job) -> None:
        self._pipe, far = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(far, job), daemon=True)
        self._process.start()
        far.close()
        first = self._pipe.recv()
        self.problem = first if isinstance(first, str) else ""
        self.description: str = "" if self.problem else first[1]
        self.load_s: float = 0.0 if self.problem else first[2]

    def run(self, clip: NDArray[np.uint8], place: Place) -> Answer:
        self._pipe.send((clip, place))
        return self._pipe.recv()  # type: ignore[no-any-return]  # it came through a pipe

    def close(self) -> tuple[float, float, float]:
        """→ memory at the end, at its peak, and kept for each track, in MB."""
        self._pipe.send(None)
        memory = self._pipe.recv()
        self._process.join()
        return memory  # type: ignore[no-any-return]


def measure(job: dict[str, Any], video: NDArray[np.uint8], length: int, hops: list[int], rounds: int) -> list[Row]:
    """One precision at each hop. Prints why, and gives no row, where it cannot run."""
    plain = Worker(Job(**job, reuse=False))
    if plain.problem:
        print(f"{job['precision']}: left out: {plain.problem}", flush=True)
        return []
    reuse = Worker(Job(**job, reuse=True))
    taken = {hop: [pairs(plain, reuse, video, length, hop, turn) for turn in range(rounds)] for hop in hops}
    (plain_mb, _, _), (reuse_mb, _, kept_mb) = plain.close(), reuse.close()
    facts = {"plain_load_s": plain.load_s, "reuse_load_s": reuse.load_s, "kept_mb_a_track": kept_mb}
    facts |= {"plain_rss_mb": plain_mb, "reuse_rss_mb": reuse_mb}
    return [summarise(plain.description, hop, turns, facts) for hop, turns in taken.items()]


def pairs(
    plain: Worker, reuse: Worker, video: NDArray[np.uint8], length: int, hop: int, turn: int
) -> list[tuple[Answer, Answer]]:
    """A new track that goes through the whole video → for each of its clips (plain, reuse)."""
    firsts = range(0, len(video) - length + 1, hop)
    places = [Place((hop, turn), first) for first in firsts]
    clips = [np.ascontiguousarray(video[first : first + length]) for first in firsts]
    return [(plain.run(clip, place), reuse.run(clip, place)) for clip, place in zip(clips, places, strict=True)]


def summarise(description: str, hop: int, turns: list[list[tuple[Answer, Answer]]], facts: dict[str, float]) -> Row:
    every = [pair for turn in turns for pair in turn]
    following = [pair for turn in turns for pair in turn[1:]]
    plain = statistics.median(before.cpu_s for before, _ in every)
    reuse = statistics.median(after.cpu_s for _, after in following)
    return Row(
        description=description,
        hop=hop,
        clips=len(following),
        plain_cpu_s=plain,
        first_cpu_s=statistics.median(turn[0][1].cpu_s for turn in turns),
        reuse_cpu_s=reuse,
        saved=1 - reuse / plain,
        steps_a_clip=statistics.mean(after.steps for _, after in following),
        largest_logit_difference=max(float(np.abs(a.logits - b.logits).max()) for a, b in every),
        top1_agreement=statistics.mean(float(a.logits.argmax() == b.logits.argmax()) for a, b in every),
        **facts,
    )


def table(rows: list[Row]) -> str:
    columns: tuple[str, ...] = ("hop", "plain CPU s", "first", "reuse", "saved", "steps", "logit diff")
    columns += ("load s", "reusing", "plain MB", "reuse MB", "kept MB")
    head = f"{'configuration':<44}" + "".join(f"{name:>12}" for name in columns)
    lines = [
        f"{r.description:<44}{r.hop:>12}{r.plain_cpu_s:>12.3f}{r.first_cpu_s:>12.3f}{r.reuse_cpu_s:>12.3f}"
        f"{r.saved:>12.1%}{r.steps_a_clip:>12.1f}{r.largest_logit_difference:>12.1e}{r.plain_load_s:>12.1f}"
        f"{r.reuse_load_s:>12.1f}{r.plain_rss_mb:>12.0f}"
        f"{r.reuse_rss_mb:>12.0f}{r.kept_mb_a_track:>12.1f}"
        for r in rows
    ]
    return "\n".join([head, *lines])


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    packages = {name: version(name) for name in ("openvino", "numpy")}
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), **packages}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=REPOSITORY / "weights" / "surveillance")
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    parser.add_argument("--hops", nargs="+", type=int, default=[16, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".cache" / "tests")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "overlap.json")
    arguments = parser.parse_args()
    card = read_card(arguments.weights)
    frames, size, *_ = card.clip_shape
    video, _rate = read_video(REPOSITORY / "samples" / "street.mp4", size)
    rows = []
    for precision in arguments.precisions:
        job = {"folder": arguments.weights, "cache_dir": arguments.cache, "threads": arguments.threads}
        rows += measure({**job, "precision": precision}, video, frames, arguments.hops, arguments.rounds)
        print(f"{precision} done ({len(rows)} rows)", file=sys.stderr, flush=True)
    print(table(rows))
    report = {"machine": machine(), "network": card.name, "rounds": arguments.rounds}
    report["rows"] = [asdict(row) for row in rows]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    part = arguments.output.with_suffix(".part")
    part.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    part.replace(arguments.output)
    return 0 if all(row.top1_agreement == 1.0 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
