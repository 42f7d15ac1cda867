"""Per-person clips of labelled videos: every person that ``extract`` finds, on the media-time grid, with their label.

A public data set labels videos, not people: bystanders get the label too. ``most_people`` keeps those in view longest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.data.journal import stamp_of
from models.data.layouts.whole_frame import Piece
from models.data.tracks.extract import ExtractConfig, extract
from models.data.tracks.group import Example, GroupConfig, plan_examples
from models.data.tracks.people import PeopleSource
from models.data.tracks.track_folders import TRACKS_FOLDER, VideoTracks, read_crops, read_video
from models.errors import DatasetError, UnreadableFileError
from models.weights.cards import ModelInput

_SHORTEST = 8  # samples; as in models.data.tracks.group


@dataclass(frozen=True)
class PerPersonCutter:
    """Cuts one video into clips of its people. ``size`` and ``margin`` as in ``pipeline.crops``.

    A person is left out who is in view for less than ``min_s``. A long stay becomes several clips of ``piece_s`` to one
    and a half times as much (``models.data.tracks.group``). Crops pass through ``scratch``. One video at a time: the
    networks are shared.
    """

    people: PeopleSource
    scratch: Path
    size: int = 224
    margin: float = 0.2
    rate_hz: float = 25.0
    min_s: float = 0.0
    piece_s: float = 10.0
    most_people: int | None = None

    def __post_init__(self) -> None:
        if not (self.rate_hz > 0 and self.min_s >= 0) or self._grouping.shortest > self._grouping.full:
            raise DatasetError("expected rate_hz > 0, min_s >= 0 and no longer than piece_s, and piece_s of 8 pictures")

    @property
    def input(self) -> ModelInput:
        return ModelInput(height=self.size, width=self.size, rate_hz=self.rate_hz, margin=self.margin)

    @property
    def _grouping(self) -> GroupConfig:
        full = max(1, round(self.piece_s * self.rate_hz))
        shortest = max(_SHORTEST, math.ceil(self.min_s * self.rate_hz))
        return GroupConfig(full=full, longest=full * 3 // 2, shortest=shortest, rate_hz=self.rate_hz)

    def describe(self) -> dict[str, Any]:
        names = ("size", "margin", "rate_hz", "min_s", "piece_s", "most_people")
        return {"clips": "people", **{name: getattr(self, name) for name in names}}

    def stamp(self, path: Path) -> str:
        return f"{stamp_of(path)} {self.people.describe(path.resolve())}"

    def cut(self, path: Path) -> Iterator[Piece]:
        """One clip at a time. Raises DatasetError: nobody is in it; UnreadableFileError: it cannot be decoded."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        config = ExtractConfig(self.margin, self.size)
        with TemporaryDirectory(dir=self.scratch) as folder:
            (done,) = extract([path.resolve()], Path(folder), self.people, config, lambda *_: None)
            if done.failed:
                raise UnreadableFileError(done.note)
            if done.note:
                raise UnreadableFileError(f"it cannot be decoded to its end: {done.note}")
            video = read_video(Path(folder, TRACKS_FOLDER, done.video)) if done.people else None
            examples = plan_examples(self._chosen(video), None, self._grouping).examples if video else ()
            if video is None or not examples:
                raise DatasetError(f"nobody is in it for {self._grouping.shortest / self.rate_hz:.2f} s")
            for example in examples:
                yield self._piece(video, example)

    def _piece(self, video: VideoTracks, example: Example) -> Piece:
        track = next(track for track in video.tracks if track.track_id == example.track_id)
        clip = read_crops(video, track, example.indices)
        return Piece(clip, example.start_s, example.start_s + len(clip) / self.rate_hz, example.track_id)

    def _chosen(self, video: VideoTracks) -> VideoTracks:
        longest = sorted(video.tracks, key=lambda track: -len(track.frames))[: self.most_people]
        return replace(video, tracks=tuple(sorted(longest, key=lambda track: track.track_id)))
