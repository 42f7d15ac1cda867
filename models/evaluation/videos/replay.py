"""A stored run played through the service's own smoother again: what it says with any settings, without a network.

A run holds every track of every frame and the raw answer to every clip, so thresholds, minimum duration and the like
can be swept at a few milliseconds a video.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from copy import copy

import numpy as np

from models.evaluation.videos.run import ClipRun, EventRun, VideoRun
from pipeline.actions import ActionSmoother, SmootherConfig
from pipeline.entities import ActionEvent, ActionScores, EventKind, Track, TrackState

SLACK_S = 1e-3  # times are stored with four decimals
ReplayedFrame = tuple[float, tuple[Track, ...], tuple[ActionScores, ...]]


class Replay:
    """``frames``: for each its time in seconds, the tracks in view, and the answers that came then."""

    def __init__(self, run: VideoRun) -> None:
        self.run = run
        self.frames: tuple[ReplayedFrame, ...] = tuple(_frames(run))

    def thinned(self, every_s: float = 1.0) -> Replay:
        """The same events in less time: without frames in which nobody came, left or was judged, but for one each
        ``every_s`` (which must be less than the smoother's ``stale_after_s``).
        """
        thin = copy(self)
        thin.frames = tuple(_telling(self.frames, every_s))
        return thin

    def events(self, config: SmootherConfig) -> tuple[EventRun, ...]:
        """What the service would have reported with this smoother, in the order in which the events ended."""
        smoother, told = ActionSmoother(config), ToldEvents()
        for time_s, tracks, clips in self.frames:
            told.add(smoother.update(clips, tracks, time_s, 0.0), time_s)
        if self.frames:
            end_s = self.frames[-1][0]
            told.add(smoother.finish(end_s, 0.0), end_s)
        return tuple(told.events)


class ToldEvents:
    """Collects events, each with the time of the frame at which its start was told."""

    def __init__(self) -> None:
        self.events: list[EventRun] = []
        self._told_s: dict[str, float] = {}

    def add(self, events: Iterable[ActionEvent], time_s: float) -> None:
        """``time_s``: of the frame after which they were told."""
        for event in events:
            if event.kind is EventKind.STARTED:
                self._told_s[event.event_id] = time_s
            elif event.kind is EventKind.ENDED:
                self.events.append(self._ended(event))

    def _ended(self, event: ActionEvent) -> EventRun:
        """Ended events carry both times and the peak; every event that starts ends."""
        told_s = self._told_s.pop(event.event_id, None)
        return EventRun(
            track_id=event.track_id,
            action=event.action,
            start_s=round(event.start_s, 4),
            end_s=round(event.start_s if event.end_s is None else event.end_s, 4),
            confidence=round(event.confidence, 4),
            told_s=None if told_s is None else round(told_s, 4),
        )


def _telling(frames: Sequence[ReplayedFrame], every_s: float) -> Iterator[ReplayedFrame]:
    """With the last frame before each change, which says until when somebody was seen."""
    last_s, people = -math.inf, [{track.track_id for track in frame[1]} for frame in frames]
    for index, frame in enumerate(frames):
        around = people[max(0, index - 1) : index + 2]
        if frame[2] or index + 1 == len(frames) or any(each != around[0] for each in around) or frame[0] >= last_s:
            last_s = frame[0] + every_s
            yield frame


def _frames(run: VideoRun) -> Iterator[ReplayedFrame]:
    tracks: dict[int, list[Track]] = defaultdict(list)
    for track in run.tracks:
        boxes = np.asarray(track.boxes_xyxy, np.float32)
        for box, frame, coasting_s in zip(boxes, track.frames, track.coasting_s, strict=True):
            tracks[frame].append(Track(track.track_id, box, TrackState.CONFIRMED, 1.0, coasting_s))
    answers: dict[int, list[ActionScores]] = defaultdict(list)
    for clip in run.clips:
        frame = int(np.searchsorted(run.times_s, clip.end_s - SLACK_S))
        answers[frame].append(_to_scores(clip, run.labels))
    for frame, time_s in enumerate(run.times_s):
        yield time_s, tuple(tracks.get(frame, ())), tuple(answers.get(frame, ()))


def _to_scores(clip: ClipRun, labels: tuple[str, ...]) -> ActionScores:
    chances = np.asarray(clip.probabilities, np.float32)
    return ActionScores(clip.track_id, labels, chances, clip.start_s, clip.end_s, 0.0, 0.0, clip.provisional)
