"""Finds the people of every video, once: ``DETECTIONS_HZ`` pictures a second are looked at, as the service does it on
a machine that cannot look at all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.events.detections import Finder, Searching
from benchmarks.events.videos import Video
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from service.budget.plan import Plan
from service.configuration import EngineConfig, StagesConfig
from service.engine import load_people_finder
from service.offline.run_recorder import RunRecorder
from service.stages import build_stages
from service.stream import run_stream

DETECTIONS_HZ = 10.0
PLAN = Plan(detections_per_s=DETECTIONS_HZ, reason="as an ordinary machine")


def find_people(videos: Sequence[Video], folder: Path, engine: EngineConfig, stop_s: float) -> None:
    """One file a video in ``folder``; those that are there are passed over. No further video after ``stop_s``."""
    finder, begin = None, time.monotonic()
    for number, video in enumerate(videos, 1):
        target = detections_file(folder, video)
        if not target.is_file() and time.monotonic() - begin < stop_s:
            finder = finder or load_people_finder(engine)
            _search(video, finder).write(target)
            print(f"{number} of {len(videos)}: {video.kind} {video.name}", flush=True)


def detections_file(folder: Path, video: Video) -> Path:
    return folder / f"{video.name}.npz"


def open_video(video: Video) -> VideoSource:
    return VideoSource(SourceUrl.from_path(video.path), SourceOptions(), lambda *_: None)


def _search(video: Video, finder: Finder) -> Searching:
    source, searching = open_video(video), Searching(finder, PLAN)
    try:
        run_stream(source, searching, build_stages(StagesConfig()), RunRecorder(()))
    finally:
        source.stop()
    return searching
