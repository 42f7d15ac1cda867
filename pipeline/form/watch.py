"""Who does which exercise how often: poses of one stream, given to its people, counted and judged.

Poses come later than the frame that they belong to (the network works beside the straight line), so where people were
then is remembered until they are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.entities import Floats, Frame, Poses, Repetition, Track, TrackLabel, TrackState
from pipeline.form.checks import check
from pipeline.form.exercises import DEFAULTS, Exercise, FormRules, exercise_of
from pipeline.form.joints import measure
from pipeline.form.repetitions import Attempt, RepetitionCounter
from pipeline.geometry import pairwise_iou

LABEL_S = 4.0  # a label lags behind what is done: a repetition waits so long for the one that names its exercise
REMEMBERED_S = 5.0  # poses that take longer are of no use
LEAST_IOU = 0.3


@dataclass(frozen=True, slots=True)
class TimedPoses:
    """The bodies in the frame of ``time_s``."""

    time_s: float
    poses: Poses


@dataclass(frozen=True)
class FormConfig:
    """``exercise`` None: whatever each person's label names (``auto``)."""

    exercise: Exercise | None = None
    rules: Mapping[Exercise, FormRules] = field(default_factory=lambda: dict(DEFAULTS))

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        return tuple(Exercise) if self.exercise is None else (self.exercise,)


@dataclass(frozen=True, slots=True)
class _Moment:
    """Where people were at a frame whose poses were asked for."""

    captured_at: float
    track_ids: tuple[int, ...]
    boxes_xyxy: Floats  # float32 (N, 4) pixels


@dataclass
class _Person:
    """One track: a counter for each exercise that it may do, and what it has done."""

    counters: dict[Exercise, RepetitionCounter]
    counts: dict[Exercise, int] = field(default_factory=dict)
    waiting: list[tuple[Exercise, Attempt, float]] = field(default_factory=list)  # …, captured_at
    named_s: dict[Exercise, float] = field(default_factory=dict)  # when the label last named it
    latest: Exercise | None = None


class FormWatch:
    """The exercises of one stream's people. It belongs to the stream's own thread; without ``config`` it is off."""

    def __init__(self, config: FormConfig | None = None) -> None:
        self._config = config
        self._people: dict[int, _Person] = {}
        self._moments: dict[float, _Moment] = {}
        self._asked_s = -np.inf

    @property
    def on(self) -> bool:
        return self._config is not None

    def due(self, frame: Frame, tracks: Sequence[Track], poses_hz: float) -> bool:
        """Whether this frame's poses are wanted, at ``poses_hz`` a second; then it is remembered who was where."""
        people = [track for track in tracks if track.state is TrackState.CONFIRMED]
        if self._config is None or not people or poses_hz <= 0:
            return False
        if 0 <= frame.time_s - self._asked_s < 0.95 / poses_hz:  # cameras' clocks are not exact
            return False
        self._asked_s = frame.time_s
        boxes = np.stack([track.box_xyxy for track in people]).astype(np.float32)
        self._moments[frame.time_s] = _Moment(frame.captured_at, tuple(each.track_id for each in people), boxes)
        return True

    def update(
        self, found: Sequence[TimedPoses], tracks: Sequence[Track], labels: Mapping[int, TrackLabel], time_s: float
    ) -> tuple[Repetition, ...]:
        """One frame: the poses that came since the last, and the tracks in view → repetitions that are complete."""
        if self._config is None:
            return ()
        self._follow(tracks, labels, time_s)
        for each in found:
            self._take(each)
        done = [repetition for track_id in self._people for repetition in self._named(track_id, time_s)]
        return tuple(sorted(done, key=lambda repetition: repetition.end_s))

    def counted(self) -> dict[int, tuple[str, int]]:
        """→ the newest exercise of each person that did any, and how often."""
        people = ((track_id, person) for track_id, person in self._people.items() if person.latest is not None)
        return {each: (person.latest.value, person.counts[person.latest]) for each, person in people if person.latest}

    def _follow(self, tracks: Sequence[Track], labels: Mapping[int, TrackLabel], time_s: float) -> None:
        """What is known of a track goes with the track."""
        present = [track.track_id for track in tracks if track.state is not TrackState.DELETED]
        self._people = {each: self._people.get(each) or self._newcomer() for each in present}
        self._moments = {at: moment for at, moment in self._moments.items() if 0 <= time_s - at <= REMEMBERED_S}
        for track_id, label in labels.items():
            exercise = exercise_of(label.action)
            if exercise is not None and track_id in self._people:
                self._people[track_id].named_s[exercise] = time_s

    def _newcomer(self) -> _Person:
        config = self._config or FormConfig()
        return _Person({each: RepetitionCounter(config.rules[each]) for each in config.exercises})

    def _take(self, found: TimedPoses) -> None:
        """Poses of a frame to the people who were there then, best overlap first."""
        moment = self._moments.pop(found.time_s, None)
        if moment is None:
            return
        for row, column in assigned(moment.boxes_xyxy, found.poses.boxes_xyxy):
            person = self._people.get(moment.track_ids[row])
            if person is not None:
                _count(person, found.poses.keypoints[column], found.time_s, moment.captured_at)

    def _named(self, track_id: int, time_s: float) -> list[Repetition]:
        """→ the person's repetitions that may be told; those of exercises that no label names wait, then go."""
        person, config = self._people[track_id], self._config or FormConfig()
        told, waiting = [], []
        for exercise, attempt, captured_at in person.waiting:
            sure = config.exercise is not None
            if sure or person.named_s.get(exercise, -np.inf) >= attempt.start_s:
                person.counts[exercise] = person.counts.get(exercise, 0) + 1
                person.latest = exercise
                rules = config.rules[exercise]
                told.append(_repetition(track_id, exercise, attempt, rules, person.counts[exercise], captured_at))
            elif time_s - attempt.end_s <= LABEL_S:
                waiting.append((exercise, attempt, captured_at))
        person.waiting = waiting
        return told


def assigned(boxes_xyxy: Floats, found_xyxy: Floats) -> list[tuple[int, int]]:
    """(N, 4) and (M, 4) → pairs of numbers that overlap by ``LEAST_IOU`` at least, greedily, each used once."""
    overlap = pairwise_iou(boxes_xyxy, found_xyxy)  # (N, M)
    pairs = []
    while overlap.size and overlap.max() >= LEAST_IOU:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        pairs.append((int(row), int(column)))
        overlap[row, :], overlap[:, column] = 0, 0
    return pairs


def _count(person: _Person, keypoints: Floats, time_s: float, captured_at: float) -> None:
    """``keypoints``: float32 (17, 3) of this person."""
    for exercise, counter in person.counters.items():
        sample = measure(keypoints, exercise, time_s)
        attempt = None if sample is None else counter.update(sample)
        if attempt is not None:
            person.waiting.append((exercise, attempt, captured_at))


def _repetition(
    track_id: int, exercise: Exercise, attempt: Attempt, rules: FormRules, count: int, captured_at: float
) -> Repetition:
    return Repetition(
        track_id=track_id,
        exercise=exercise.value,
        count=count,
        start_s=attempt.start_s,
        turn_s=attempt.samples[attempt.turn].time_s,
        end_s=attempt.end_s,
        depth_deg=attempt.depth_deg,
        range_deg=attempt.range_deg,
        checks=check(attempt, rules),
        captured_at=captured_at,
    )
