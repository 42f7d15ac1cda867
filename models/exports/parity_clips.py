"""Real clips to hold an export to its network: of a data set's split, with their labels, or cut from a video.

A video's clips are what the service would classify: found by its detector, followed by its tracker, sampled by its
buffers. Pixels are read when a clip's turn comes, so that one clip is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.data.clip_file import read_clip
from models.data.manifest import ClipRecord, Dataset, Split
from models.errors import ExportError
from models.evaluation.figures.predictions import NEVER_SCORED, Views, clip_views
from models.runtimes.runner import Floats
from models.weights.cards import ModelCard
from pipeline.entities import Clip, Detections, Frame
from pipeline.scene_clips import clip_buffer
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from pipeline.tracker import PersonTracker, TrackerConfig

HOP = 8  # crops between two clips of a person: a short video shall give many
Finder = Callable[[Frame, Floats], Detections]  # a frame, and boxes (M, 4) where the tracker expects people
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class ParityClip:
    """``pixels`` uint8 (T, H, W, 3) RGB; ``box`` float32 (4,) where a network sees whole scenes; ``target``: label."""

    pixels: NDArray[np.uint8]
    box: Floats | None = None
    target: int | None = None


@dataclass(frozen=True, slots=True)
class ParityClips:
    """Clips that are read one by one, as often as wanted. ``source`` says for people where they are from."""

    source: str
    items: tuple[Callable[[], ParityClip], ...]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[ParityClip]:
        return (item() for item in self.items)

    def halves(self) -> tuple[ParityClips, ParityClips]:
        """Earlier and later ones: to calibrate on some and to measure on others."""
        middle = len(self.items) // 2
        return (
            ParityClips(f"{self.source}, earlier half", self.items[:middle]),
            ParityClips(f"{self.source}, later half", self.items[middle:]),
        )


def dataset_clips(dataset: Dataset, card: ModelCard, split: Split, most: int | None = None) -> ParityClips:
    """At most ``most`` clips of a split, evenly chosen, as the network reads them.

    Raises ExportError when the split has no labelled clip, a label is none of the network's, or the network sees
    whole scenes (data sets hold crops).
    """
    if card.input.kind == "scene":
        raise ExportError(f"{card.name} sees whole scenes, data sets hold crops of people: give a video instead")
    records = [record for record in dataset.of(split) if record.label not in NEVER_SCORED]
    unknown = sorted({record.label for record in records} - set(card.labels))
    if not records or unknown:
        problem = f"labels that {card.name} does not know: {', '.join(unknown)}" if unknown else "no labelled clip"
        raise ExportError(f"{dataset.folder}, split {split.value!r}: {problem}")
    chosen = evenly(records, most)
    return ParityClips(
        f"{dataset.folder.name}, split {split.value}",
        tuple(_from_file(record, dataset, card) for record in chosen),
    )


def video_clips(video: Path, find: Finder, card: ModelCard, most: int) -> ParityClips:
    """At most ``most`` complete clips of the people that ``find`` sees in a video, evenly chosen, in the order of time.

    Raises ExportError when there is none, and SourceError when the video cannot be read.
    """
    found: list[Clip] = []
    tracker, buffer = PersonTracker(TrackerConfig()), clip_buffer(card.input.clip_config(HOP))
    source = VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)
    try:
        for frame in source:
            people = find(frame, tracker.expected(frame.time_s))
            clips = buffer.push(frame, tracker.update(frame, people))
            found.extend(clip for clip in clips if not clip.provisional)
            if len(found) >= 4 * most:  # bounds memory with a long video
                break
    finally:
        source.stop()
    if not found:
        raise ExportError(f"{video} shows nobody for as long as {card.name} must see a person: give another video")
    chosen = evenly(found, most)
    return ParityClips(f"people in {video.name}", tuple(map(_from_pipeline, chosen)))


def evenly(items: Sequence[_Item], most: int | None) -> list[_Item]:
    """At most ``most`` of ``items`` (None: all), evenly spread, in their order."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


def _from_file(record: ClipRecord, dataset: Dataset, card: ModelCard) -> Callable[[], ParityClip]:
    def read() -> ParityClip:
        views = clip_views(read_clip(record.path), card.input, dataset.info.input.rate_hz, Views())
        return ParityClip(views[0], target=card.labels.index(record.label))

    return read


def _from_pipeline(clip: Clip) -> Callable[[], ParityClip]:
    return lambda: ParityClip(clip.stack(), clip.box)
