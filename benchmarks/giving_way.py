"""What keeps people better apart when the detector has to give way: a smaller input, or fewer detections?

    python benchmarks/giving_way.py [--work FOLDER] [--json benchmarks/results/giving_way.json] [--write-docs]

The detector that ships, at every input size that the compute budget knows (service/budget), on the sequences of
``benchmarks/tracking_scenes.py`` with their full ground truth; tracks start at the service's confidence. Each sequence
is tracked with a detection in every n-th picture, n being what comes closest to the rate asked for. A rate that costs
no more than another one at another size stands beside it: ``ms/s`` is the detector's CPU time a second of video, one
thread, measured on the first pictures of PETS09-S2L1, the sizes in turn. Figures are means over the sequences, each
counting the same; in brackets those of PETS09-S2L1 alone, on which the tracker's values were chosen.

What detector and appearance network found is kept in ``--work``. The table is printed, written as JSON and, with
--write-docs, put into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if sys.path[0] == str(HERE):  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)

from benchmarks import document  # noqa: E402 -- after the line above
from benchmarks.detector_input import SIZES, cpu_ms, load, served  # noqa: E402
from benchmarks.live_cameras.machine import cpu  # noqa: E402
from benchmarks.tracking import (  # noqa: E402
    SERVED_START,
    SHARED,
    Recorded,
    follow,
    frames_of,
    pets_video,
    read_truth,
    score,
)
from benchmarks.tracking_scenes import Sequence, means, save, sequences  # noqa: E402
from benchmarks.tracking_scenes import load as load_found  # noqa: E402
from pipeline.appearance import AppearanceConfig, AppearanceEncoder  # noqa: E402
from pipeline.detector import PersonDetector  # noqa: E402
from pipeline.entities import Detections  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from pipeline.tracker import TrackerConfig  # noqa: E402

DOCS = HERE.parent / "docs" / "performance.md"
MARKS = document.marks("benchmarks/giving_way.py")
RATES_HZ = (12.5, 8.0, 5.0, 10 / 3, 2.5)  # as the budget's, and what videos of ten pictures a second can be looked at
TUNED_ON = "PETS09-S2L1"
Scores = dict[str, dict[str, float]]  # sequence → figures


def found_in(sequence: Sequence, size: int, detector: PersonDetector, encoder: AppearanceEncoder, work: Path) -> Path:
    """→ the file of everything that is found at this size, with everybody's features; made where it is missing."""
    file = work / f"{sequence.name}-{size}.npz"
    if not file.is_file():
        save(_searched(sequence, size, detector, encoder), file)
    return file


def _searched(
    sequence: Sequence, size: int, detector: PersonDetector, encoder: AppearanceEncoder
) -> Iterable[Recorded]:
    for frame in frames_of(sequence.video):
        found = served(detector.detect([frame.image], size)[0])
        features = encoder.encode(frame.image, found.boxes_xyxy)
        yield Recorded(frame.time_s, frame.size_hw, Detections(found.boxes_xyxy, found.confidences, features))


def pace(recorded: list[Recorded], rate_hz: float) -> int:
    """→ n: a detection in every n-th picture comes closest to ``rate_hz``."""
    pictures_hz = (len(recorded) - 1) / (recorded[-1].time_s - recorded[0].time_s)
    return max(1, round(pictures_hz / rate_hz))


def tracked(files: Mapping[Sequence, Path], rate_hz: float) -> Scores:
    """→ by sequence the figures of a tracker that gets about ``rate_hz`` detections a second."""
    found: Scores = {}
    for sequence, file in files.items():
        recorded = load_found(file)
        tracks = follow(recorded, TrackerConfig.starting_at(SERVED_START), pace(recorded, rate_hz))
        found[sequence.name] = asdict(score(tracks, read_truth(sequence.truth)))
    return found


def measure(work: Path) -> dict[str, Any]:
    """→ the report: for each size its cost, for each rate the figures of every sequence and their means."""
    detector, encoder = load(None), AppearanceEncoder.load(None, AppearanceConfig(threads=1))
    scenes = sequences(SHARED / "data")
    with tempfile.TemporaryDirectory() as folder:
        video = pets_video(Path(folder))
        if video is None or not scenes:
            raise SystemExit("the sequences are missing: ../shared/data/mot and pets, and opencv-doc")
        pictures = [frame.image for frame in frames_of(video, 8)]
        costs = {size: ms for (_, size), ms in cpu_ms({"": detector}, SIZES, pictures).items()}
    rows = []
    for size in SIZES:
        files = {scene: found_in(scene, size, detector, encoder, work) for scene in scenes}
        for rate_hz in RATES_HZ:
            scores = tracked(files, rate_hz)
            row = {"size": size, "rate_hz": round(rate_hz, 2), "scores": scores, "mean": means(list(scores.values()))}
            rows.append(row | {"cpu_ms": round(costs[size], 1)})
            print(_line(rows[-1]), flush=True)
    return {"machine": cpu(), "detector": detector.description, "rows": rows}


def markdown(report: Mapping[str, Any]) -> str:
    """Rates in columns, sizes in rows: IDF1, switches and cost."""
    rates = list(dict.fromkeys(row["rate_hz"] for row in report["rows"]))
    lines = [
        f"| input, ms a call | {' | '.join(f'{rate:g} a second' for rate in rates)} |",
        f"|---|{'---|' * len(rates)}",
    ]
    for size in dict.fromkeys(row["size"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["size"] == size]
        lines.append(f"| {size}, {rows[0]['cpu_ms']:.0f} | {' | '.join(map(_cell, rows))} |")
    names = ", ".join(report["rows"][0]["scores"])
    return "\n".join(lines) + f"\n\n{names}; {report['detector']}, {report['machine']}.\n"


def _cell(row: Mapping[str, Any]) -> str:
    mean, own = row["mean"], row["scores"].get(TUNED_ON)
    beside = f" [{own['mota']:.3f} / {own['idf1']:.3f} / {own['id_switches']}]" if own else ""
    return f"{mean['mota']:.3f} / {mean['idf1']:.3f} / {mean['id_switches']:.1f}{beside}, {_cost(row):.0f} ms/s"


def _cost(row: Mapping[str, Any]) -> float:
    return float(row["cpu_ms"] * row["rate_hz"])


def _line(row: Mapping[str, Any]) -> str:
    return f"{row['size']:4d} {row['rate_hz']:6.2f}  {_cell(row)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=HERE.parent / ".cache" / "giving_way", help="what was found")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "giving_way.json")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    report = measure(arguments.work)
    write_atomically(arguments.json, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(markdown(report))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
