"""Tracking quality on every sequence with ground truth beside the repository, with each appearance network.

    python benchmarks/tracking_scenes.py [--appearance NAME=FILE …] [--json benchmarks/results/tracking.json]

PETS09-S2L1 (795 frames, fixed camera), TUD-Stadtmitte (179), TUD-Campus (71), KITTI-17 (145, the camera drives) of
MOTChallenge 2015, full ground truth without rows of confidence 0, matched at IoU 0.5 by trackeval, detector as it ships
at 640. Nothing was trained on them; the tracker's values were chosen on PETS (``tracking.py``).
Appearance networks: ``shipped`` (weights/appearance), ``mobilenetv2`` (what there is without it), and those named.
Settings: ``default`` of ``TrackerConfig``, and ``served`` (tracks start at a confidence of 0.3). What detector and
networks found is kept in ``--work``, so that the tracker can be changed and measured again in seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
if sys.path[0] == str(HERE):  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)

from benchmarks.tracking import SERVED_START, SHARED, Recorded, Score, follow, frames_of, read_truth, score  # noqa: E402
from pipeline.appearance import AppearanceConfig, AppearanceEncoder  # noqa: E402 -- after the line above
from pipeline.detector import DetectorConfig, PersonDetector  # noqa: E402 -- after the line above
from pipeline.entities import Detections  # noqa: E402 -- after the line above
from pipeline.tracker import TrackerConfig  # noqa: E402 -- after the line above

VIDEOS = {
    "PETS09-S2L1": Path("pets/vtest.avi"),
    "TUD-Stadtmitte": Path("mot/TUD-Stadtmitte/TUD-Stadtmitte.mp4"),
    "TUD-Campus": Path("mot/TUD-Campus/TUD-Campus.mp4"),
    "KITTI-17": Path("mot/KITTI-17/KITTI-17.mp4"),
}
SETTINGS = {"default": TrackerConfig(), "served": TrackerConfig.starting_at(SERVED_START)}
Report = dict[str, dict[str, dict[str, float]]]  # appearance → "sequence, setting" → figures


@dataclass(frozen=True)
class Sequence:
    """One annotated video."""

    name: str
    video: Path
    truth: Path


def sequences(data: Path) -> list[Sequence]:
    """Those that are there."""
    found = [Sequence(name, data / video, data / "mot" / name / "gt.txt") for name, video in VIDEOS.items()]
    return [sequence for sequence in found if sequence.video.is_file() and sequence.truth.is_file()]


def save(recorded: Iterable[Recorded], file: Path) -> None:
    items = list(recorded)
    found = [item.detections for item in items]
    features = [part.features for part in found if part.features is not None]
    np.savez(
        file,
        times_s=np.array([item.time_s for item in items]),
        sizes_hw=np.array([item.size_hw for item in items]),
        counts=np.array([len(part) for part in found]),
        boxes_xyxy=np.concatenate([part.boxes_xyxy for part in found]),
        confidences=np.concatenate([part.confidences for part in found]),
        features=np.concatenate(features) if features else np.empty((0, 0), np.float32),
    )


def load(file: Path) -> list[Recorded]:
    with np.load(file) as stored:
        ends = np.cumsum(stored["counts"])[:-1]
        boxes, confidences = np.split(stored["boxes_xyxy"], ends), np.split(stored["confidences"], ends)
        looks = stored["features"]
        features = np.split(looks, ends) if len(looks) else [None] * len(boxes)
        times, sizes = stored["times_s"].tolist(), stored["sizes_hw"].tolist()
    found = map(Detections, boxes, confidences, features)
    return [Recorded(time_s, (size[0], size[1]), part) for time_s, size, part in zip(times, sizes, found, strict=True)]


def detected(sequence: Sequence, work: Path, detector: PersonDetector) -> list[Recorded]:
    """Everything the detector finds in the video, from the cache where it is there."""
    file = work / f"{sequence.name}.npz"
    if not file.is_file():
        frames = frames_of(sequence.video)
        save((Recorded(f.time_s, f.size_hw, detector.detect([f.image])[0]) for f in frames), file)
    return load(file)


def looked_at(sequence: Sequence, work: Path, found: list[Recorded], name: str, encoder: AppearanceEncoder) -> float:
    """Put features of everybody into the cache → CPU milliseconds a person, decoding left out."""
    spent_s, people, result = 0.0, 0, []
    for frame, item in zip(frames_of(sequence.video), found, strict=True):
        boxes = item.detections.boxes_xyxy
        start = time.process_time()
        features = encoder.encode(frame.image, boxes)
        spent_s, people = spent_s + time.process_time() - start, people + len(boxes)
        result.append(Recorded(item.time_s, item.size_hw, Detections(boxes, item.detections.confidences, features)))
    save(result, work / f"{sequence.name}-{name}.npz")
    return 1e3 * spent_s / max(people, 1)


def measure(data: Path, work: Path, detector: PersonDetector, encoders: Mapping[str, AppearanceEncoder]) -> Report:
    """Track every sequence with every appearance network and print it."""
    report: Report = {}
    print(f"{'appearance':14}{'sequence':16}{'settings':10} HOTA   MOTA   IDF1  switches   ms a person, looked at now")
    for name, encoder in encoders.items():
        scores: dict[str, dict[str, float]] = {}
        for sequence in sequences(data):
            kept, cost = work / f"{sequence.name}-{name}.npz", float("nan")
            if not kept.is_file():
                cost = looked_at(sequence, work, detected(sequence, work, detector), name, encoder)
            recorded, truth = load(kept), read_truth(sequence.truth)
            for setting, config in SETTINGS.items():
                result = score(follow(recorded, config), truth)
                scores[f"{sequence.name}, {setting}"] = {key: round(value, 4) for key, value in asdict(result).items()}
                figures = f"{result.hota:.3f}  {result.mota:.3f}  {result.idf1:.3f}  {result.id_switches:8d}"
                print(f"{name:14}{sequence.name:16}{setting:10}{figures}  {cost:6.2f}", flush=True)
        for setting in SETTINGS:
            scores[f"mean, {setting}"] = means([row for key, row in scores.items() if key.endswith(f", {setting}")])
            print(
                f"{name:14}{'mean':16}{setting:10}" + "  ".join(f"{v:.3f}" for v in scores[f"mean, {setting}"].values())
            )
        report[name] = scores
    return report


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure over the sequences, each counting the same."""
    names = [field.name for field in fields(Score)]
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in names} if rows else {}


def main() -> None:
    parser = argparse.ArgumentParser(description="Tracking quality on every annotated sequence")
    parser.add_argument("--appearance", nargs="*", default=[], metavar="NAME=FILE", help="further networks")
    parser.add_argument("--only", nargs="*", help="names of appearance networks to measure")
    parser.add_argument(
        "--work", type=Path, default=HERE.parent / ".cache" / "tracking", help="what was found is kept here"
    )
    parser.add_argument("--cache-dir", type=Path, help="where converted networks are kept")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(arguments.threads)
    weights, cache, threads = HERE.parent / "weights", arguments.cache_dir, arguments.threads
    detector = PersonDetector.load(None, DetectorConfig(weights_dir=weights, cache_dir=cache, threads=threads))
    files = {
        "shipped": None,
        "mobilenetv2": None,
        **{n: Path(f) for n, f in (a.split("=", 1) for a in arguments.appearance)},
    }
    encoders = {
        name: AppearanceEncoder.load(file, AppearanceConfig(cache, threads, weights if name == "shipped" else None))
        for name, file in files.items()
        if arguments.only is None or name in arguments.only
    }
    scores = measure(SHARED / "data", arguments.work, detector, encoders)
    if arguments.json:
        networks = {name: encoder.description for name, encoder in encoders.items()}
        report = {"detector": detector.description, "appearance": networks, "scores": scores}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
