"""Examples with labels, ready to become clips: planned from the tracks and the table of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from models.data.class_names import same_class
from models.data.clip_file import Clip, ClipFormat
from models.data.imports.motchallenge import raise_problems
from models.data.tracks.clips import LabelledExample
from models.data.tracks.group import Example, GroupConfig, plan_examples
from models.data.tracks.labels_csv import LabelRow, rows_by_clip
from models.data.tracks.track_folders import (
    MANIFEST_FILE,
    VideoTracks,
    list_videos,
    median_fps,
    read_crops,
    read_video,
)
from models.errors import DatasetError
from models.weights.cards import ModelInput


@dataclass(frozen=True)
class Collected:
    """What was found. ``left_out`` counts examples by reason; ``conflicts`` and ``failed`` are told to the person:
    what contradicts the table, and what cannot be read. ``unread``: the names of the examples behind ``failed``.
    """

    examples: tuple[LabelledExample, ...]
    left_out: Counter[str] = field(default_factory=Counter)
    conflicts: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()


def read_videos(
    work: Path, report: Callable[[str, int, int | None], None], failed: list[str]
) -> tuple[VideoTracks, ...]:
    """All finished videos of a working folder, without pixels. What is wrong with the others is added to ``failed``.

    Raises DatasetError where there is none.
    """
    folders = list_videos(work)
    videos = []
    for number, folder in enumerate(folders, 1):
        try:
            videos.append(read_video(folder))
        except DatasetError as error:
            failed.append(str(error))
        report("reading tracks", number, len(folders))
    if not videos:
        raise_problems(failed)
    return tuple(videos)


def unread_videos(work: Path, videos: Iterable[VideoTracks]) -> frozenset[str]:
    """The names of the videos of a working folder that are not among ``videos``, as ``read_videos`` gave them."""
    return frozenset(folder.name for folder in list_videos(work)) - {video.name for video in videos}


def from_tracks(
    videos: Iterable[VideoTracks], rows: Sequence[LabelRow] | None, exclude: Collection[str], config: GroupConfig
) -> Collected:
    """Examples of the tracks' labelled ranges. Raises DatasetError where there is no table of labels."""
    if rows is None:
        raise DatasetError(
            "no labels: make a table with `actoscope dataset label`, or sort examples into class folders"
        )
    left_out: Counter[str] = Counter()
    excluded = {same_class(label) for label in exclude}
    chosen = [row for row in rows if row.label and same_class(row.label) not in excluded]
    left_out.update(f"excluded: {row.label}" for row in rows if row.label and same_class(row.label) in excluded)
    left_out["no label"] = sum(not row.label for row in rows)
    found: list[LabelledExample] = []
    by_clip = rows_by_clip(chosen)
    known = list(videos)
    for clip in sorted(by_clip.keys() - {video.name for video in known}):
        left_out[f"{clip} is no extracted video"] += len(by_clip[clip])
    for video in known:
        plan = plan_examples(video, by_clip.get(video.name, ()), config)
        found += [_from_track(video, example) for example in plan.examples]
        left_out["too short"] += plan.too_short
    return Collected(tuple(found), +left_out)


def _from_track(video: VideoTracks, example: Example) -> LabelledExample:
    changed_at = (video.folder / MANIFEST_FILE).stat().st_mtime
    count = len(example.indices)
    return LabelledExample(example, count, count, changed_at, partial(_crops, video, example))


def _crops(video: VideoTracks, example: Example) -> Clip:
    track = video.track(example.track_id)
    if track is None:
        raise DatasetError(f"{video.folder} has no track {example.track_id}")
    return read_crops(video, track, example.indices)


def input_of(videos: Sequence[VideoTracks], frames: int, rate_hz: float | None) -> ModelInput:
    """The form of clips cut from these videos. Raises DatasetError when they were not all cut in the same way.

    ``rate_hz`` None (every frame as it is): the middle one of the videos' rates stands for all.
    """
    forms: dict[tuple[float, int], list[VideoTracks]] = {}
    for video in videos:
        forms.setdefault((video.facts.margin, video.facts.size), []).append(video)
    if len(forms) > 1:
        raise_problems(
            f"margin {margin}, {size} pixels: {len(some)} videos, as {some[0].name}; expected one form for all"
            for (margin, size), some in forms.items()
        )
    margin, size = next(iter(forms))
    rate = rate_hz or round(median_fps(videos), 3)
    return ModelInput(frames=frames, height=size, width=size, rate_hz=rate, margin=margin)


def format_of(videos: Sequence[VideoTracks]) -> ClipFormat:
    """How the crops of these videos are stored. Raises DatasetError when it is not the same for all."""
    forms = {video.facts.format for video in videos}
    if len(forms) > 1:
        raise DatasetError(f"videos were extracted as {', '.join(sorted(form.value for form in forms))}; expected one")
    return forms.pop()
