"""How fast `actoscope annotate` is on a file: seconds of video a second, from the command's start to its end.

    python benchmarks/annotating.py [--tiers light full] [--cores 1 2] [--isas avx2] [--seconds 20] [--write-docs]

The video is that of five people of benchmarks/live_cameras/videos.py (1280×720, 25 frames a second, of the bundled
sample). Nothing is left out: decoding, detection, tracking, classification, the overlay video and the messages.
Networks are converted and costs are measured before, by a short run. ``--isas avx2`` as in benchmarks/live.py. Times
are of one run each on this machine, beside whatever else it does; share of boxes with a label, and IDs, as the messages
tell. Prints a table, writes benchmarks/results/annotating.json, where rows that are not measured again stay, and with
--write-docs puts it into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from benchmarks import document  # noqa: E402  # the repository root is on the path only now
from benchmarks.live import CACHE, PAGE, WORK, commit, isas_asked, read  # noqa: E402
from benchmarks.live_cameras import family, machine  # noqa: E402
from benchmarks.live_cameras.isa import limited  # noqa: E402
from benchmarks.live_cameras.rows import AVX2, NATIVE, Result, keep  # noqa: E402
from benchmarks.live_cameras.videos import camera_video  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from tests.support.service import own_environment  # noqa: E402

MARKS = document.marks("benchmarks/annotating.py")
VIDEO = "people-5"
TIERS = ("light", "full")
WARM_S = 3  # of the run that converts and measures
LIMIT_S = 3600.0
HEAD = ("run", "processor", "× real time", "seconds", "CPU s a second of video", "boxes with a label", "IDs")


@dataclass(frozen=True, slots=True)
class Row:
    """One run. ``isa``: ``native`` or ``avx2``."""

    tier: str
    cores: int
    isa: str

    @property
    def name(self) -> str:
        return f"{VIDEO}, {self.tier}, {self.cores} core{'s' if self.cores > 1 else ''}, {self.isa}"


@dataclass(frozen=True, slots=True)
class Told:
    """What the messages of a run say: of the boxes of confirmed people, so many, with a label so many; and IDs."""

    boxes: int
    labelled: int
    ids: int


def told(lines: Iterator[str]) -> Told:
    """``lines``: the messages, one JSON object each."""
    boxes, labelled, ids = 0, 0, set()
    for message in map(json.loads, lines):
        for track in message.get("tracks", ()) if message["type"] == "tracks" else ():
            boxes += 1
            labelled += track["action"] is not None
            ids.add(track["track_id"])
    return Told(boxes, labelled, len(ids))


def annotate(row: Row, seconds: float, folder: Path, cache: Path) -> tuple[float, float, Told]:
    """One run → wall seconds, CPU seconds of all its processes, what it told.

    Raises subprocess.SubprocessError where it fails or takes over an hour.
    """
    video, messages = camera_video(VIDEO, WORK / "videos"), folder / "messages.jsonl"
    command = [sys.executable, "-m", "service.cli", "annotate", str(video), "--quiet", "--tier", row.tier]
    command += ["--seconds", f"{seconds:g}", "--output", str(folder / "overlay.mp4"), "--events", str(messages)]
    began, spent = time.perf_counter(), _children_cpu_s()
    with family.started_on(sorted(os.sched_getaffinity(0))[: row.cores]):
        subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**own_environment(folder, cache), "ACTOSCOPE_RUNTIME": "openvino", **limited(row.isa)},
            check=True,
            timeout=LIMIT_S,
            capture_output=True,
            text=True,
        )
    wall_s, cpu_s = time.perf_counter() - began, _children_cpu_s() - spent
    with messages.open(encoding="utf-8") as lines:
        return wall_s, cpu_s, told(lines)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(row: Row, seconds: float, cache: Path) -> dict[str, Any]:
    """→ the row's result; one that failed says why."""
    about = {"row": row.name, **asdict(row), "cpu": machine.cpu(), "commit": commit(), "seconds": seconds}
    print(f"- {row.name}", flush=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            annotate(row, WARM_S, Path(folder), cache)
            wall_s, cpu_s, said = annotate(row, seconds, Path(folder), cache)
    except (OSError, subprocess.SubprocessError) as error:
        why = f"{error} {(getattr(error, 'stderr', None) or '')[-1000:]}"
        print(f"  {why}", flush=True)
        return {**about, "problem": why}
    return {**about, "wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2), **asdict(said)}


def markdown(results: Sequence[Result]) -> str:
    return document.lines(HEAD, map(_cells, results))


def _cells(result: Result) -> tuple[str, ...]:
    about = result["row"], result["cpu"]
    if result.get("problem"):
        return (*about, f"none: {result['problem'][:80]}", *[""] * (len(HEAD) - 3))
    return (
        *about,
        f"{result['seconds'] / result['wall_s']:.2f}",
        f"{result['wall_s']:.1f} for {result['seconds']:g}",
        f"{result['cpu_s'] / result['seconds']:.2f}",
        f"{result['labelled'] / max(1, result['boxes']):.0%}",
        str(result["ids"]),
    )


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    there = isas_asked(options.isas, options.cache)
    isas = [isa for isa in options.isas if isa in there]
    results = read(options.json)
    for isa, cores, tier in product(isas, options.cores, options.tiers):
        results = keep(results, measured(Row(tier, cores, isa), options.seconds, options.cache))
        write_atomically(options.json, json.dumps({"rows": results}, indent=1) + "\n")
    print(markdown(results))
    if options.write_docs:
        document.put_table(PAGE, markdown(results), MARKS)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tiers", nargs="*", default=("light",), choices=TIERS, metavar="NAME", help="default: light")
    made.add_argument("--cores", nargs="*", default=(2,), type=int, metavar="N", help="default: 2")
    made.add_argument("--isas", nargs="*", default=(NATIVE,), choices=(NATIVE, AVX2), metavar="NAME")
    made.add_argument("--seconds", type=float, default=20.0, help="of the video (default: %(default)g)")
    made.add_argument("--cache", type=Path, default=CACHE, help="folder of converted networks")
    made.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "annotating.json")
    made.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    return made


if __name__ == "__main__":
    sys.exit(main())
