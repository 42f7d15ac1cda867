"""What a smaller detector input costs and saves: CPU time a call, people found, and tracking at 5 detections a second.

    python benchmarks/detector_input.py [DETECTOR …] [--sizes 640 480 416 320] [--found-only] [--json out.json]

Without detectors: ``weights/person``. One thread, and every size by the same loaded network (``image_size`` of
``PersonDetector.detect``), as serving does when it gives way. Found: ``models.person_training.evaluation`` at IoU 0.5
on PETS09-S2L1 and MOT17-mini; recall of detections from 0.25 on. Tracked: PETS09-S2L1 as in ``benchmarks/tracking.py``,
every second of its 10 frames a second, tracks from 0.3 on and features only where in doubt, as the service does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
if sys.path[0] == str(HERE):  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)

from benchmarks.tracking import (  # noqa: E402 -- after the line above
    SERVED_START,
    SHARED,
    Score,
    Tracks,
    frames_of,
    pets_video,
    read_truth,
    score,
)
from models.person_training.evaluation import match  # noqa: E402 -- after the line above
from models.person_training.making import final_pictures  # noqa: E402 -- after the line above
from pipeline.appearance import AppearanceConfig, AppearanceEncoder, with_features  # noqa: E402 -- after the line above
from pipeline.detector import DetectorConfig, PersonDetector  # noqa: E402 -- after the line above
from pipeline.entities import Detections, Frame, Image  # noqa: E402 -- after the line above
from pipeline.tracker import PersonTracker, TrackerConfig  # noqa: E402 -- after the line above

SIZES = (640, 480, 416, 320)
EVERY = 2  # of 10 frames a second
SERVED_CONFIDENCE = 0.1
COUNTED_CONFIDENCE = 0.25


@dataclass(frozen=True)
class Row:
    """One detector at one size; ``cpu_ms`` is the median for one 768×576 picture, one thread."""

    size: int
    cpu_ms: float
    average_precision: dict[str, float]
    recall: dict[str, float]
    tracking: Score | None


def cpu_ms(
    detectors: dict[str, PersonDetector], sizes: Sequence[int], images: Sequence[Image], rounds: int = 8
) -> dict[tuple[str, int], float]:
    """Median CPU milliseconds a call; detectors and sizes take turns, so that all meet the same machine."""
    spent: dict[tuple[str, int], list[float]] = {(name, size): [] for size in sizes for name in detectors}
    for turn in range(rounds + 1):  # the first prepares kernels and memory
        for (name, size), times in spent.items():
            start = time.process_time()
            detectors[name].detect([images[turn % len(images)]], size)
            times.append(1e3 * (time.process_time() - start))
    return {key: float(np.median(times[1:])) for key, times in spent.items()}


def found_at(detector: PersonDetector, size: int) -> tuple[dict[str, float], dict[str, float]]:
    """→ average precision and recall by set of pictures."""
    precision, recall = {}, {}
    for name, pictures in final_pictures(SHARED / "data").items():
        reached = match(pictures(), lambda image: detector.detect([image], size)[0]).at(COUNTED_CONFIDENCE)
        precision[name], recall[name] = reached.average_precision, reached.recall
    return precision, recall


def tracked(frames: Iterator[Frame], detector: PersonDetector, encoder: AppearanceEncoder, size: int) -> Tracks:
    """Serving's line on a video, with a detection in every ``EVERY``-th frame."""
    tracker, result = PersonTracker(TrackerConfig.starting_at(SERVED_START)), {}
    for index, frame in enumerate(frames):
        detections = None
        if index % EVERY == 0:
            found = served(detector.detect([frame.image], size)[0])
            detections = with_features(encoder, frame.image, found, tracker.expected(frame.time_s))
        result[index] = tracker.update(frame, detections)
    return result


def served(found: Detections) -> Detections:
    """Those that the service's threshold lets through."""
    kept = found.confidences > SERVED_CONFIDENCE
    return Detections(found.boxes_xyxy[kept], found.confidences[kept])


def told(row: Row) -> str:
    found = "  ".join(f"{name} AP {ap:.3f} recall {row.recall[name]:.3f}" for name, ap in row.average_precision.items())
    line, of = f"{row.size:5d}  {row.cpu_ms:5.0f} ms  {found}", row.tracking
    if of is None:
        return line
    return f"{line}  HOTA {of.hota:.3f} MOTA {of.mota:.3f} IDF1 {of.idf1:.3f} switches {of.id_switches}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Quality and cost of smaller detector inputs")
    parser.add_argument("detectors", type=Path, nargs="*", help="default: weights/person")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, choices=SIZES)
    parser.add_argument("--found-only", action="store_true", help="without tracking, which takes minutes a size")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    detectors = {str(path or "weights/person"): load(path) for path in arguments.detectors or [None]}
    report: dict[str, list[dict[str, object]]] = {name: [] for name in detectors}
    with tempfile.TemporaryDirectory() as folder:
        video = pets_video(Path(folder))
        if video is None:
            raise SystemExit("vtest.avi is missing: install opencv-doc, or put it into ../shared/data/pets")
        cost = cpu_ms(detectors, arguments.sizes, [frame.image for frame in frames_of(video, 8)])
        for (name, size), milliseconds in cost.items():
            tracking = None if arguments.found_only else track(video, detectors[name], size)
            row = Row(size, milliseconds, *found_at(detectors[name], size), tracking)
            print(f"{name:14} {told(row)}", flush=True)
            report[name].append(asdict(row))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def load(path: Path | None) -> PersonDetector:
    config = DetectorConfig(
        confidence=0.01, max_detections=300, weights_dir=HERE.parent / "weights", device="cpu", threads=1
    )
    return PersonDetector.load(path, config)


def track(video: Path, detector: PersonDetector, size: int) -> Score:
    encoder = AppearanceEncoder.load(None, AppearanceConfig(threads=1))
    truth = read_truth(SHARED / "data" / "pets" / "gt_every10.txt")
    return score(tracked(frames_of(video), detector, encoder, size), truth)


if __name__ == "__main__":
    main()
