"""Who is in the videos that ``extract`` and ``prepare --per-person`` cut: given tracks, or the service's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.data.tracks.people import PeopleSource, given_people, pipeline_people
from pipeline.tracker import TrackerConfig
from service.configuration import EngineConfig
from service.engine import load_people_finder
from service.settings import load_settings


def people_source(tracks: Path | None, fill_frames: int, videos: Sequence[Path]) -> PeopleSource:
    """``tracks``: files as ``given_people`` takes them; None: detector, encoder and tracker by the settings."""
    if tracks is not None:
        return given_people(tracks, videos, fill_frames)
    settings = load_settings()
    engine = EngineConfig.from_settings(settings)
    finder = load_people_finder(engine)
    # not the runtime: a video that was begun on a GPU may be gone on with on a CPU
    name = finder.detector.description.split()[0]
    words = f"{name} at {engine.detector_image_size}, from {settings.track_confidence}"
    tracker = TrackerConfig.starting_at(settings.track_confidence)
    return pipeline_people(finder.detector, finder.encoder, words, tracker)
