"""Repetitions counted in real exercise videos, against marks made by eye.

    python benchmarks/repetitions.py [--videos ../shared/data/workout] [--pose FILE] [--work FOLDER] [--json FILE]

The service's own straight line without the action network: detector, tracker, a YOLO pose network on ten pictures a
second, one exercise named for each video as a stream's ``exercise`` does. Counted are all ``repetition`` events of all
people. ``repetition_marks.csv`` holds, for 25 videos, when each repetition turned (lowest, or highest at the bar), by
eye from contact sheets of five to ten pictures a second; ``complete`` is no where the cut of the video leaves out its
beginning or its end. The thresholds were chosen looking at the twelve videos of set ``dev``; the thirteen of ``test``
were marked and counted once, afterwards. Intervals: videos are drawn (bootstrap). Each video's result is kept in
``--work``.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from models.evaluation.figures.bootstrap import bootstrap  # noqa: E402  # the repository root is on the path only now
from pipeline.actions import ActionSmoother  # noqa: E402
from pipeline.entities import ActionEvent, ActionScores, Clip, Detections, Floats, Frame, FrameResult, Track  # noqa: E402
from pipeline.form.exercises import Exercise  # noqa: E402
from pipeline.form.watch import FormConfig, FormWatch, TimedPoses  # noqa: E402
from pipeline.pose import PoseConfig, PoseNetwork  # noqa: E402
from pipeline.sources.url import SourceUrl  # noqa: E402
from pipeline.sources.video_source import SourceOptions, VideoSource  # noqa: E402
from pipeline.stride import StrideController  # noqa: E402
from pipeline.tracker import PersonTracker, TrackerConfig  # noqa: E402
from service.budget.plan import EVERYTHING, Plan, Tier  # noqa: E402
from service.configuration import EngineConfig  # noqa: E402
from service.engine import PeopleFinder, load_people_finder  # noqa: E402
from service.settings import load_settings  # noqa: E402
from service.stream import Stages, run_stream  # noqa: E402

MARKS = Path(__file__).with_name("repetition_marks.csv")
VIDEOS = REPOSITORY.parent / "shared" / "data" / "workout"
POSE = REPOSITORY.parent / "shared" / "weights" / "yolov8n-pose-int8_openvino_model"
DETECTIONS_HZ = 12.5  # what the service's budget gives at most
NEAR_S = 0.7  # a turn this near to a mark is the one that was marked


@dataclass(frozen=True)
class Marked:
    """One video: its exercise and when its complete repetitions turned."""

    video: str
    exercise: str
    set: str
    turns_s: tuple[float, ...]


@dataclass(frozen=True)
class Counted:
    """What the service said of one video; angles in degrees, ``seconds`` of wall clock."""

    video: str
    turns_s: tuple[float, ...]
    depths_deg: tuple[float, ...]
    ranges_deg: tuple[float, ...]
    checks: tuple[dict[str, bool | None], ...]
    frames: int
    poses: int
    seconds: float


def read_marks(path: Path = MARKS) -> list[Marked]:
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for video in dict.fromkeys(row["video"] for row in rows):
        own = [row for row in rows if row["video"] == video]
        turns = tuple(float(row["turn_s"]) for row in own if row["complete"] == "yes")
        found.append(Marked(video, own[0]["exercise"], own[0]["set"], turns))
    return found


class FormInference:
    """People and joints, no labels; everything is answered at once."""

    def __init__(self, finder: PeopleFinder, network: PoseNetwork) -> None:
        self._finder, self._network = finder, network
        self._poses: list[TimedPoses] = []
        self.asked = 0

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections | None:
        return self._finder(frame, expected_xyxy)

    def plan(self) -> Plan:
        return replace(EVERYTHING, detections_per_s=DETECTIONS_HZ)

    def ask_poses(self, frame: Frame) -> None:
        self.asked += 1
        self._poses.append(TimedPoses(frame.time_s, self._network.find([frame.image])[0]))

    def take_poses(self) -> list[TimedPoses]:
        poses, self._poses = self._poses, []
        return poses

    def submit(self, clip: Clip, gain: float = 1.0) -> None: ...

    def take(self) -> list[ActionScores]:
        return []

    def finish(self) -> None: ...


class NoClips:
    """No action network reads any."""

    skipped = 0
    too_slow = None

    def push(self, frame: Frame, tracks: Sequence[Track], tier: Tier) -> list[Clip]:
        return []

    def fill(self) -> dict[int, int]:
        return {}

    def change(self, *networks: object) -> None:
        """There are none to change."""


class Kept:
    """All repetitions of a video."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []

    def publish(self, result: FrameResult) -> None:
        self.results.append(replace(result, frame=replace(result.frame, image=np.zeros((1, 1, 3), np.uint8))))

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None: ...


def count_video(file: Path, exercise: str, finder: PeopleFinder, network: PoseNetwork) -> Counted:
    inference, sink, begin = FormInference(finder, network), Kept(), time.perf_counter()
    stages = Stages(
        PersonTracker(TrackerConfig.starting_at(0.3)),
        NoClips(),
        ActionSmoother(),
        StrideController(adaptive=False),
        form=FormWatch(FormConfig(Exercise(exercise))),
    )
    source = VideoSource(SourceUrl.from_path(file), SourceOptions(), lambda *_: None)
    run_stream(source, inference, stages, sink)
    done = [each for result in sink.results for each in result.repetitions]
    return Counted(
        video=f"{file.parent.name}/{file.name}",
        turns_s=tuple(round(each.turn_s, 2) for each in done),
        depths_deg=tuple(round(each.depth_deg) for each in done),
        ranges_deg=tuple(round(each.range_deg) for each in done),
        checks=tuple(dict(each.checks) for each in done),
        frames=len(sink.results),
        poses=inference.asked,
        seconds=round(time.perf_counter() - begin, 1),
    )


def matched(marks_s: Sequence[float], turns_s: Sequence[float]) -> int:
    """→ how many marks have a turn of their own within ``NEAR_S``."""
    left, found = list(turns_s), 0
    for mark in marks_s:
        near = min(left, key=lambda turn: abs(turn - mark), default=None)
        if near is not None and abs(near - mark) <= NEAR_S:
            left.remove(near)
            found += 1
    return found


def figures(pairs: Sequence[tuple[Marked, Counted]]) -> dict[str, Any]:
    """Mean absolute error of counts, share of exact ones, recall and precision of single repetitions."""
    rows = [
        (abs(len(m.turns_s) - len(c.turns_s)), len(m.turns_s) == len(c.turns_s), 1, matched(m.turns_s, c.turns_s))
        for m, c in pairs
    ]
    sums = np.array([[*row, len(m.turns_s), len(c.turns_s)] for row, (m, c) in zip(rows, pairs, strict=True)], float)
    names = {"mae": (0, 2), "exact": (1, 2), "recall": (3, 4), "precision": (3, 5)}
    made = {name: bootstrap(sums, _share(*columns)) for name, columns in names.items()}
    plain = {name: {"value": i.value, "low": i.low, "high": i.high} for name, i in made.items()}
    return {"videos": len(pairs), "repetitions": int(sums[:, 4].sum()), "counted": int(sums[:, 5].sum()), **plain}


def _share(part: int, whole: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """→ the figure of sums (B, columns): one column over another."""
    return lambda sums: np.asarray(sums[:, part] / np.maximum(sums[:, whole], 1))


def kept(path: Path) -> Counted | None:
    return Counted(**json.loads(path.read_text())) if path.is_file() else None


def measure(videos: Path, pose: Path, work: Path, chosen: Sequence[Marked]) -> list[tuple[Marked, Counted]]:
    """Counts what is not counted yet. Raises DetectorError without a pose network."""
    settings = load_settings(data_dir=work)
    config = replace(EngineConfig.from_settings(settings), threads=1)
    finder = load_people_finder(config)
    network = PoseNetwork.load(pose, PoseConfig(cache_dir=config.cache_dir, threads=1))
    work.mkdir(parents=True, exist_ok=True)
    pairs = []
    for each in chosen:
        file = work / (each.video.replace("/", "_") + ".json")
        counted = kept(file) or count_video(videos / each.video, each.exercise, finder, network)
        file.write_text(json.dumps(asdict(counted)))
        print(f"{each.set:5} {each.video:32} marked {len(each.turns_s):3} counted {len(counted.turns_s):3}", flush=True)
        pairs.append((each, counted))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=VIDEOS)
    parser.add_argument("--pose", type=Path, default=POSE)
    parser.add_argument("--work", type=Path, default=Path("runs/repetitions"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    pairs = measure(arguments.videos, arguments.pose, arguments.work, read_marks())
    report = {part: figures([pair for pair in pairs if pair[0].set == part]) for part in ("dev", "test")}
    report |= {"all": figures(pairs)}
    for part, found in report.items():
        shown = " ".join(
            f"{k} {found[k]['value']:.2f} [{found[k]['low']:.2f}, {found[k]['high']:.2f}]"
            for k in ("mae", "exact", "recall", "precision")
        )
        counts = f"{found['videos']} videos, {found['repetitions']} repetitions, {found['counted']} counted"
        print(f"{part:5} {counts}: {shown}")
    if arguments.json is not None:
        content = {"machine": platform.processor() or platform.machine(), "pose": arguments.pose.name, **report}
        content["videos"] = [{**asdict(m), "counted": len(c.turns_s), **asdict(c)} for m, c in pairs]
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
