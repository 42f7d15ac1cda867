"""What a fold's network says of the videos that it did not learn from: one ``VideoRun`` (JSON) a video, made once.

Everything but the search for people is the service's straight line; that one was done before
(``benchmarks.events.find``) and is played back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.events.detections import read_detections
from benchmarks.events.find import DETECTIONS_HZ, PLAN, detections_file
from benchmarks.events.no_poses import NoPoses
from benchmarks.events.videos import Video
from models.errors import EvaluationError
from models.evaluation.videos.run import VideoRun, read_video_run, write_video_run
from models.weights.cards import MODEL_FILE, ModelCard, read_card
from pipeline.entities import ActionScores, Clip, Detections, Floats, Frame
from service.budget.plan import Plan
from service.configuration import EngineConfig, StagesConfig
from service.engine import InferenceEngine
from service.offline.local_inference import LocalInference
from service.offline.video_evaluation import record_video
from service.settings import Settings
from service.stages import build_stages


class FoundBefore(NoPoses):
    """An ``Inference`` whose people were found before; their clips go to ``inner``."""

    def __init__(self, inner: LocalInference, found: Mapping[int, Detections]) -> None:
        self._inner = inner
        self._found = found

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections:
        return self._found[frame.index]

    def plan(self) -> Plan:
        return PLAN

    def submit(self, clip: Clip, gain: float = 1.0) -> None:
        self._inner.submit(clip, gain)

    def finish(self) -> None:
        self._inner.finish()

    def take(self) -> list[ActionScores]:
        return self._inner.take()


def ask(videos: Sequence[Video], people: Path, output: Path, engine: EngineConfig, stop: float) -> None:
    """Every video whose people are known and that has no answers of this network yet; ``engine.model``: its folder.

    The network speaks alone: what boxes say beside it is added later (``benchmarks.events.boxes``).
    No further video is begun from ``stop`` on (monotonic clock).
    """
    card = read_card(engine.model_dir)
    stages = replace(StagesConfig.from_settings(Settings(), engine.model_dir), motion={})
    missing = [each for each in videos if detections_file(people, each).is_file() and not _done(output, each, card)]
    loaded = InferenceEngine(engine) if missing and time.monotonic() < stop else None
    for number, video in enumerate(missing, 1):
        if loaded is not None and time.monotonic() < stop:
            found = read_detections(detections_file(people, video))
            inference = FoundBefore(LocalInference(loaded, engine.model), found)
            run = record_video(video.path, inference, build_stages(stages), card, _settings(card))
            write_video_run(run_file(output, video), run)
            print(f"{number} of {len(missing)}: {video.name}, {len(run.clips)} clips", flush=True)


def run_file(folder: Path, video: Video) -> Path:
    return folder / f"{video.name}.json"


def stored_run(folder: Path, video: Video) -> VideoRun | None:
    path = run_file(folder, video)
    return read_video_run(path) if path.is_file() else None


def _done(folder: Path, video: Video, card: ModelCard) -> bool:
    try:
        run = stored_run(folder, video)
    except EvaluationError:  # damaged
        return False
    return run is not None and run.settings == _settings(card)


def _settings(card: ModelCard) -> dict[str, str | int | float | bool | None]:
    return {"model_sha256": card.sha256[MODEL_FILE], "detections_per_s": DETECTIONS_HZ}
