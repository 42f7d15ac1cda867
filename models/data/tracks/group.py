"""Tracks → examples: 64 to 80 consecutive samples of one person doing one thing, split where the track has a gap.

Samples lie on the even grid in media time that the service's clip buffers use (``pipeline.clips.sample_grid``), or are
the frames themselves. Nothing is read or written here: an example says which crops of a track it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import Split
from models.data.tracks.labels_csv import LabelRow
from models.data.tracks.track_folders import PersonTrack, VideoTracks, track_stem
from models.errors import DatasetError
from pipeline.clips import ClipConfig, sample_grid
from pipeline.pace import LATE

LONGEST_WHOLE = 512  # samples: 20 s, 77 MB of crops


@dataclass(frozen=True)
class GroupConfig:
    """How long an example is, in samples, and where it ends. ``rate_hz`` None takes every frame as it is.

    ``whole``: what one row of labels says stays one example however long it is (up to ``LONGEST_WHOLE``).
    ``shortest``: shorter ones are left out. ``max_gap_s``: a longer loss of the person splits.
    """

    full: int = 64
    longest: int = 80
    shortest: int = 8
    rate_hz: float | None = 25.0
    max_gap_s: float = ClipConfig.max_gap_s
    whole: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.full <= self.longest:
            raise DatasetError(
                f"expected 1 <= shortest <= full <= longest, got {self.shortest}, {self.full}, {self.longest}"
            )
        if self.max_gap_s <= 0 or (self.rate_hz is not None and self.rate_hz <= 0):
            raise DatasetError(f"expected max_gap_s and rate_hz above 0, got {self.max_gap_s} and {self.rate_hz}")


@dataclass(frozen=True, slots=True)
class Example:
    """Consecutive samples of one person. ``indices``: the crop of the track that each sample shows, never falling."""

    name: str
    video: str
    track_id: int
    indices: tuple[int, ...]
    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    label: str = ""
    group: str = ""
    split: Split = Split.NONE


@dataclass(frozen=True, slots=True)
class Plan:
    """The examples of one video, and how many pieces were too short to be one."""

    examples: tuple[Example, ...]
    too_short: int


def plan_examples(video: VideoTracks, rows: Sequence[LabelRow] | None, config: GroupConfig) -> Plan:
    """What ``rows`` (of any videos) say of this video's tracks → examples. None: every track, without labels."""
    if rows is None:
        chosen = [LabelRow(video.name, track.track_id, group=video.name) for track in video.tracks]
    else:
        chosen = [row for row in rows if row.clip == video.name]
    found: list[Example] = []
    too_short = 0
    for row in chosen:
        track = video.track(row.track)
        pieces = [] if track is None else _pieces(track, row, config, video.fps)
        usable = [piece for piece in pieces if len(piece) >= config.shortest]
        too_short += len(pieces) - len(usable)
        found += [_example(video, track, row, piece) for piece in usable if track is not None]
    return Plan(tuple(found), too_short)


def _pieces(track: PersonTrack, row: LabelRow, config: GroupConfig, fps: float) -> list[list[int]]:
    """→ indices into the track for every sample of every example."""
    pieces: list[list[int]] = []
    for run in runs(track, row, config.max_gap_s, fps):
        times_s = track.times_s[run].tolist()
        shown = sample_grid(times_s, config.rate_hz) if config.rate_hz else range(len(run))
        samples = [int(run[index]) for index in shown]
        begin = 0
        for length in _lengths(len(samples), config):
            pieces.append(samples[begin : begin + length])
            begin += length
    return pieces


def runs(track: PersonTrack, row: LabelRow, max_gap_s: float, fps: float) -> list[NDArray[np.int64]]:
    """The indices of a row's crops, split where the person was away; unconfirmed boxes at an end are left out.

    ``max_gap_s`` is more in a video with rarer pictures than that, of which ``fps`` tells: a track only has the
    pictures in which somebody drew its box.
    """
    if math.isfinite(fps) and fps > 0:
        max_gap_s = max(max_gap_s, LATE / fps)
    inside = (track.frames >= row.start) & (track.frames <= (row.end or track.frames[-1]))
    indices = np.flatnonzero(inside & (track.coasting_s <= max_gap_s))
    jumps = np.flatnonzero(np.diff(track.times_s[indices]) > max_gap_s + 1e-6) + 1
    trimmed = (_without_coasting_end(run, track) for run in np.split(indices, jumps))
    return [run for run in trimmed if len(run)]


def _without_coasting_end(run: NDArray[np.int64], track: PersonTrack) -> NDArray[np.int64]:
    """Behind the last sight of a person the tracker's guess shows empty ground."""
    seen = np.flatnonzero(track.coasting_s[run] == 0)
    return run[: seen[-1] + 1] if len(seen) else run[:0]


def _lengths(samples: int, config: GroupConfig) -> list[int]:
    if not config.whole:
        return example_lengths(samples, config.full, config.longest)
    parts = -(-samples // LONGEST_WHOLE)
    return _even(samples, parts) if parts else []


def example_lengths(samples: int, full: int, longest: int) -> list[int]:
    """How a run of samples is cut: evenly into ``full`` … ``longest`` where that works out, else into ``full`` ones
    and a shorter rest."""
    parts = max(1, samples // full)
    if parts * full <= samples <= parts * longest:
        return _even(samples, parts)
    whole, rest = divmod(samples, full)
    return [full] * whole + [rest] * (rest > 0)


def _even(samples: int, parts: int) -> list[int]:
    short, longer = divmod(samples, parts)
    return [short + 1] * longer + [short] * (parts - longer)


def _example(video: VideoTracks, track: PersonTrack, row: LabelRow, indices: list[int]) -> Example:
    first, last = indices[0], indices[-1]
    start, end = int(track.frames[first]), int(track.frames[last])
    return Example(
        name=f"{video.name}_{track_stem(track.track_id)}_{start:06d}-{end:06d}",
        video=video.name,
        track_id=track.track_id,
        indices=tuple(indices),
        start_frame=start,
        end_frame=end,
        start_s=float(track.times_s[first]),
        end_s=float(track.times_s[last]),
        label=row.label,
        group=row.group or video.name,
        split=row.split,
    )


def label_of(example: Example, rows: Iterable[LabelRow]) -> LabelRow | None:
    """The labelled row that most of an example's frames lie in; None where no row covers half of them."""
    best, most = None, (example.end_frame - example.start_frame + 1) / 2
    for row in rows:
        if (row.clip, row.track) == (example.video, example.track_id) and row.label:
            covered = row.covered(example.start_frame, example.end_frame)
            if covered >= most:
                best, most = row, covered
    return best
