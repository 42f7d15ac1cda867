"""Everybody in a recorded file, frame by frame, as programs that label videos want it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av

from models.data.imports.cvat import ActionRange
from models.data.imports.motchallenge import BoxTrack
from models.errors import UnreadableFileError
from pipeline.geometry import denormalise
from service.recording.segment_files import read_segment
from service.recording.ways import Way, read_ways


@dataclass(frozen=True, slots=True)
class RecordedPeople:
    """``tracks``: boxes in pixels by frame (from 1); ``labels``: what the networks said that each does."""

    tracks: tuple[BoxTrack, ...]
    labels: tuple[ActionRange, ...]
    size_hw: tuple[int, int]
    frames: int


def read_people(video: Path) -> RecordedPeople:
    """Of a finished recording and the sidecar beside it. Raises UnreadableFileError, OSError."""
    try:
        segment = read_segment(video)
        times_s = [segment.start_s + at for at in _frame_times(video)]
    except (ValueError, av.FFmpegError) as error:
        raise UnreadableFileError(f"{video} is no recording: {error}") from error
    if segment.events_path is None:
        raise UnreadableFileError(f"{video} has no messages beside it, which say where people are")
    ways = read_ways(segment.events_path)
    tracks = [_track(track_id, way, times_s, segment.size_hw) for track_id, way in ways.items()]
    seen = [track for track in tracks if track.boxes]
    labels = [each for track in seen for each in _labels(track, ways[track.track_id], times_s)]
    return RecordedPeople(tuple(seen), tuple(labels), segment.size_hw, len(times_s))


def _frame_times(video: Path) -> list[float]:
    """→ seconds since the first frame, in the order in which they are shown."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        unit = stream.time_base or Fraction(0)
        shown = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size)
        return [float((pts - shown[0]) * unit) for pts in shown]


def _track(track_id: int, way: Way, times_s: Sequence[float], size_hw: tuple[int, int]) -> BoxTrack:
    found = {frame: way.at(time_s) for frame, time_s in enumerate(times_s, 1)}
    return BoxTrack(track_id, {frame: denormalise(box, size_hw) for frame, box in found.items() if box is not None})


def _labels(track: BoxTrack, way: Way, times_s: Sequence[float]) -> list[ActionRange]:
    """→ runs of frames with the same label; without one there is none."""
    said = [(frame, way.action_at(times_s[frame - 1])) for frame in track.boxes]
    runs = groupby(enumerate(said), lambda each: (each[1][1], each[1][0] - each[0]))
    frames = [(action, [frame for _, (frame, _) in run]) for (action, _), run in runs]
    return [ActionRange(track.track_id, run[0], run[-1], action) for action, run in frames if action is not None]
