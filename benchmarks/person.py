"""How well person detectors find people, and how fast: PETS09-S2L1 and twelve pictures of MOT17, IoU 0.5.

    python benchmarks/person.py [NETWORK.pt …] [--image-size 640] [--cache-dir FOLDER] [--json out.json]

Without networks: ``weights/person/person.pt`` and its start, ``../shared/weights/yolo11n-coco``. Cells are
recall/precision of detections from that confidence on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
if sys.path[0] == str(HERE):  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)

from models.person_training.evaluation import Matched, match  # noqa: E402 -- after the line above
from models.person_training.making import final_pictures  # noqa: E402 -- after the line above
from models.person_training.report import figures, table  # noqa: E402 -- after the line above
from pipeline.detector import DetectorConfig, PersonDetector  # noqa: E402 -- after the line above
from pipeline.entities import Detections, Image  # noqa: E402 -- after the line above

SHARED = HERE.parents[1] / "shared"
NETWORKS = (HERE.parent / "weights/person/person.pt", SHARED / "weights/yolo11n-coco/yolo11n-coco.pt")


def first(detector: PersonDetector, image: Image) -> Detections:
    """The people in one picture."""
    return detector.detect([image])[0]


def time_ms(detectors: dict[str, PersonDetector], rounds: int = 30) -> dict[str, float]:
    """Median milliseconds for one 768×576 picture; the networks take turns, so that all meet the same machine."""
    image = np.random.default_rng(0).integers(0, 255, (576, 768, 3), np.uint8)
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for _ in range(rounds):
        for name, detector in detectors.items():
            start = time.perf_counter()
            detector.detect([image])
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values[3:])) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Quality and speed of person detectors")
    parser.add_argument("networks", type=Path, nargs="*", default=list(NETWORKS))
    parser.add_argument("--image-size", type=int, default=640)
    parser.add_argument("--cache-dir", type=Path, help="where converted networks are kept")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    config = DetectorConfig(arguments.image_size, confidence=0.01, max_detections=300, cache_dir=arguments.cache_dir)
    detectors = {path.stem: PersonDetector.load(path, config) for path in arguments.networks}
    rows: dict[str, Matched] = {}
    for pictures, given in final_pictures(SHARED / "data").items():
        for name, detector in detectors.items():
            rows[f"{pictures}, {name}"] = match(given(), partial(first, detector))
    print(table(rows))
    speed = time_ms(detectors)
    print("  ".join(f"{name} {value:.1f} ms" for name, value in speed.items()))
    if arguments.json:
        scores = {name: figures(found, arguments.image_size).model_dump() for name, found in rows.items()}
        arguments.json.write_text(json.dumps({"scores": scores, "milliseconds": speed}, indent=2) + "\n")


if __name__ == "__main__":
    main()
