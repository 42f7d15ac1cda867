"""A small working folder made the real way: a video of a moving pattern, MOTChallenge tracks, `extract`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from models.data.clip_file import ClipFormat
from models.data.tracks.extract import ExtractConfig, Extracted, extract
from models.data.tracks.people import given_people
from models.data.tracks.track_folders import VideoTracks, list_videos, read_video
from tests.support.media import write_video

SMALL = ExtractConfig(size=32)
BOX = (40.0, 20.0, 30.0, 60.0)  # left, top, width, height of every person


def quiet(_item: str, _done: int, _total: int | None) -> None:
    """Progress that nobody looks at."""


def write_mot(path: Path, frames: Mapping[int, Sequence[int]]) -> Path:
    """Tracks by ID: the frames (from 1) in which each person is seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{frame},{track},{','.join(map(str, BOX))},0.9,1,1\n" for track, seen in frames.items() for frame in seen)
    path.write_text("".join(rows))
    return path


def extract_given(
    work: Path, videos: Sequence[Path], tracks: Path, config: ExtractConfig = SMALL, fill: int = 0
) -> list[Extracted]:
    return list(extract(videos, work, given_people(tracks, videos, fill), config, quiet))


def make_work(
    root: Path,
    tracks: Mapping[str, Mapping[int, Sequence[int]]],
    frames: int = 100,
    rate: int = 25,
    form: ClipFormat = ClipFormat.JPEG,
) -> tuple[Path, tuple[VideoTracks, ...]]:
    """Videos by name and their tracks → working folder and what is in it."""
    videos = [write_video(root / f"{name}.mp4", frames, rate=rate) for name in tracks]
    for name, people in tracks.items():
        write_mot(root / "mot" / f"{name}.txt", people)
    extract_given(root / "work", videos, root / "mot", ExtractConfig(size=32, format=form))
    return root / "work", tuple(read_video(folder) for folder in list_videos(root / "work"))
