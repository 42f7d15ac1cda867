"""Turns the classifier's scores into what a person is doing now, and into events with a beginning and an end.

Scores are smoothed exponentially over media time, so that clips that come irregularly weigh what they should: over
less time for the label that is shown, where being late is being wrong, than for events, where one too many costs more.
An action is under way from the score at which it reaches its ``on`` threshold until it falls below ``off``
(hysteresis), and becomes an event once that has lasted ``min_duration_s``. Provisional scores count like others: a
person who is in view for two seconds only shall still be reported, and the minimum duration keeps single odd clips out.
Each event tells beside that how the clips that were not provisional judged, one by one (``ClipTally``).
"""

from __future__ import annotations

import difflib
import math
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.entities import (
    NO_CLIPS,
    ActionEvent,
    ActionScores,
    ClipTally,
    EventKind,
    Floats,
    Track,
    TrackLabel,
    TrackState,
)

RECENT_CLIPS = 8  # clips of an action that its events tell one by one
_REMEMBERED_TRACKS = 256  # how many ended tracks are remembered to turn away scores that come late


@dataclass(frozen=True)
class Evidence:
    """What it takes before a label is told as an event: for those whose false alarms cost more than others'.

    ``clips``: so many clips from the onset on, provisional ones included, whose own probability reaches ``on``.
    """

    on: float = 0.5
    min_duration_s: float = 0.5
    clips: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.on <= 1:
            raise ValueError(f"on must be above 0 and at most 1, got {self.on}")
        if not 0 <= self.min_duration_s < math.inf or self.clips < 1:
            raise ValueError(
                f"min_duration_s must not be negative and clips at least 1, got {self.min_duration_s} and {self.clips}"
            )


def stricter(one: Mapping[str, Evidence], other: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """→ by label what satisfies both: for a stream whose two networks take turns."""
    usual = Evidence()
    pairs = {label: (one.get(label, usual), other.get(label, usual)) for label in {*one, *other}}
    return {
        label: Evidence(max(a.on, b.on), max(a.min_duration_s, b.min_duration_s), max(a.clips, b.clips))
        for label, (a, b) in pairs.items()
    }


@dataclass(frozen=True)
class SmootherConfig:
    """How scores become labels and events. Times are media time in seconds, thresholds probabilities.

    ``time_constant_s`` smooths what events are made of, ``label_time_constant_s`` what is shown of a person now.
    ``evidence``: what single labels need in the place of ``on`` and ``min_duration_s``. ``thresholds`` is an
    allow-list: label → its ``on`` threshold, whatever else is said of it; its ``off`` keeps the ratio ``off`` / ``on``.
    None allows every label. A track whose scores stopped coming for ``stale_after_s`` has no label any more.
    An ``updated`` event is due when the confidence moved by ``update_step``, and for each of the first ``RECENT_CLIPS``
    clips that count, at most one every ``update_every_s``.
    """

    time_constant_s: float = 1.0
    label_time_constant_s: float = 0.5
    on: float = 0.5
    off: float = 0.35
    min_duration_s: float = 0.5
    thresholds: Mapping[str, float] | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    top_k: int = 5
    update_step: float = 0.1
    update_every_s: float = 1.0
    stale_after_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.off <= self.on <= 1:
            raise ValueError(f"expected 0 < off <= on <= 1, got off {self.off} and on {self.on}")
        for name in ("time_constant_s", "label_time_constant_s", "stale_after_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.min_duration_s < 0 or self.update_every_s < 0 or self.update_step < 0 or self.top_k < 1:
            raise ValueError("min_duration_s, update_every_s and update_step must not be negative, top_k at least 1")
        _check_thresholds(self.thresholds or {})

    def needs(self, label: str) -> Evidence | None:
        """→ what it takes for ``label`` to become an event; None where it is not allowed to."""
        usual = self.evidence.get(label) or Evidence(self.on, self.min_duration_s)
        if self.thresholds is None:
            return usual
        return replace(usual, on=self.thresholds[label]) if label in self.thresholds else None


def validate_actions(thresholds: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    """A stream's ``actions`` (label → on threshold), checked against the labels that a model knows → a copy.

    Raises ValueError for a threshold outside (0, 1] and for an unknown label; it names the labels that come close.
    """
    known = set(labels)
    lower_case = {label.lower(): label for label in labels}
    for label in thresholds:
        if label not in known:
            matches = difflib.get_close_matches(label.lower(), lower_case, n=3, cutoff=0.6)
            matches += [name for name in lower_case if label and label.lower() in name and name not in matches]
            hint = ", ".join(repr(lower_case[name]) for name in matches[:5])
            raise ValueError(
                f"unknown action {label!r}; " + (f"did you mean {hint}?" if hint else "nothing comes close")
            )
    return _check_thresholds(thresholds)


def _check_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    for label, threshold in thresholds.items():
        if not 0 < threshold <= 1:
            raise ValueError(f"the threshold of action {label!r} must be above 0 and at most 1, got {threshold}")
    return dict(thresholds)


@dataclass
class _Action:
    """One action of one track that is at work: a candidate until ``event_id`` is set, an event from then on."""

    onset_s: float
    confidence: float
    peak: float
    needs: Evidence
    agreed: int = 0  # clips so far whose own probability reached the threshold
    event_id: str | None = None
    told_s: float = 0.0
    told_confidence: float = 0.0
    clips: ClipTally = NO_CLIPS
    told_clips: int = 0

    def judge(self, probability: float, agrees: bool) -> None:
        """One more clip that is not provisional."""
        count = self.clips.count + 1
        share = (self.clips.share * self.clips.count + agrees) / count
        self.clips = ClipTally(count, share, (*self.clips.recent, probability)[-RECENT_CLIPS:])


@dataclass
class _TrackActions:
    """All that is known of one track. ``smoothed`` and ``shown`` follow ``labels``; None until the first scores.

    ``smoothed`` is what events are made of, ``shown`` the same over less time, for the label.
    """

    seen_s: float
    labels: tuple[str, ...] = ()
    on: Floats | None = None  # float32 (C,); infinite where the allow-list does not name the label
    smoothed: Floats | None = None  # float32 (C,)
    shown: Floats | None = None  # float32 (C,)
    scored_s: float = -math.inf
    provisional: bool = False
    model: str = ""
    actions: dict[str, _Action] = field(default_factory=dict)


class ActionSmoother:
    """The actions of all tracks of one stream. Not thread-safe: it belongs to the stream's own thread.

    Every ``started`` gets exactly one ``ended``, provided ``finish`` is called at the end, and events of the same
    track and action never overlap. Scores of tracks that are not in view and scores that come out of order are
    ignored. An ``ended`` event carries the highest confidence that the event reached, the other kinds the present one.
    """

    def __init__(
        self, config: SmootherConfig = SmootherConfig(), new_event_id: Callable[[], str] | None = None
    ) -> None:
        self._config = config
        self._new_event_id = new_event_id or (lambda: uuid.uuid4().hex)
        self._tracks: dict[int, _TrackActions] = {}
        self._gone: OrderedDict[int, float] = OrderedDict()  # track_id → when it left, newest last
        self._thresholds: tuple[tuple[str, ...], Floats] = ((), np.zeros(0, np.float32))

    def update(
        self, scores: Iterable[ActionScores], tracks: Sequence[Track], time_s: float, captured_at: float
    ) -> tuple[ActionEvent, ...]:
        """One frame: the scores that arrived since the last, and the tracks in view → events.

        ``time_s`` and ``captured_at`` are the frame's media time and wall clock.
        """
        events = self._follow(tracks, time_s, captured_at)
        for score in sorted(scores, key=lambda item: item.end_s):
            track = self._tracks.get(score.track_id)
            if track is not None and score.end_s > track.scored_s:
                events += self._score(track, score, captured_at)
        for track_id, track in self._tracks.items():
            if track.smoothed is not None and time_s - track.scored_s > self._config.stale_after_s:
                events += self._end_all(track_id, track, track.scored_s, captured_at)
                track.smoothed = track.shown = None
        return tuple(events)

    def change(self, config: SmootherConfig) -> None:
        """Other thresholds and evidence from the next score on. What goes on is not ended by the change itself."""
        self._config, self._thresholds = config, ((), np.zeros(0, np.float32))
        for track in self._tracks.values():
            if track.labels:
                track.on = self._on(track.labels)

    def labels(self) -> dict[int, TrackLabel]:
        """→ what each track is doing, by track_id.

        Without an allow-list every track that has scores has a label. With one, only allowed actions are named, and
        only from their off threshold on: "fighting 2 %" on somebody who walks would say the contrary of what is known.
        """
        labels = ((track_id, self._label(track)) for track_id, track in self._tracks.items())
        return {track_id: label for track_id, label in labels if label is not None}

    def finish(self, time_s: float, captured_at: float) -> tuple[ActionEvent, ...]:
        """Ends everything and forgets all tracks: the end of a stream, or a break of its picture."""
        events: list[ActionEvent] = []
        for track_id in list(self._tracks):
            events += self._leave(track_id, min(time_s, self._tracks[track_id].seen_s), captured_at)
        return tuple(events)

    def _follow(self, tracks: Sequence[Track], time_s: float, captured_at: float) -> list[ActionEvent]:
        """Keeps the set of tracks that are in view; those that vanished end their events."""
        present = {track.track_id: track for track in tracks if track.state is not TrackState.DELETED}
        events: list[ActionEvent] = []
        for track_id in [known for known in self._tracks if known not in present]:
            events += self._leave(track_id, self._tracks[track_id].seen_s, captured_at)
        for track_id, track in present.items():
            seen_s = time_s - track.coasting_s
            if track_id not in self._tracks:
                self._tracks[track_id] = _TrackActions(seen_s, scored_s=self._gone.pop(track_id, -math.inf))
            self._tracks[track_id].seen_s = seen_s
        return events

    def _leave(self, track_id: int, end_s: float, captured_at: float) -> list[ActionEvent]:
        track = self._tracks.pop(track_id)
        events = self._end_all(track_id, track, end_s, captured_at)
        # A late score of its former life must not start an event that overlaps the one just ended.
        self._gone[track_id] = max(end_s, track.scored_s)
        while len(self._gone) > _REMEMBERED_TRACKS:
            self._gone.popitem(last=False)
        return events

    def _score(self, track: _TrackActions, score: ActionScores, captured_at: float) -> list[ActionEvent]:
        """Takes one answer of the classifier into the track's smoothed scores, then moves its actions."""
        events: list[ActionEvent] = []
        if track.labels != score.labels:  # another model answers now: the old one's numbers mean nothing to it
            events = self._end_all(score.track_id, track, score.end_s, captured_at)
            track.labels, track.on, track.smoothed, track.shown = score.labels, self._on(score.labels), None, None
        probabilities, passed_s = np.asarray(score.probabilities, np.float32), score.end_s - track.scored_s
        track.smoothed = _smoothed(track.smoothed, probabilities, passed_s / self._config.time_constant_s)
        track.shown = _smoothed(track.shown, probabilities, passed_s / self._config.label_time_constant_s)
        track.scored_s, track.provisional, track.model = score.end_s, score.provisional, score.model
        return events + self._move(score, track, captured_at)

    def _move(self, score: ActionScores, track: _TrackActions, captured_at: float) -> list[ActionEvent]:
        """Starts, updates and ends the track's actions after ``score`` changed its smoothed scores."""
        if track.smoothed is None or track.on is None:
            return []
        now_s, events = track.scored_s, []
        off = track.on * (self._config.off / self._config.on)
        index_of = {label: index for index, label in enumerate(track.labels)}
        for label in [name for name in track.actions if track.smoothed[index_of[name]] < off[index_of[name]]]:
            events += self._end(score.track_id, track, label, now_s, captured_at)
        for index in np.flatnonzero(track.smoothed >= track.on):
            label = track.labels[index]
            if label not in track.actions and (needs := self._config.needs(label)) is not None:
                track.actions[label] = _Action(now_s, 0.0, 0.0, needs)
        if not score.provisional:
            self._judge(score, track, index_of)
        for label, action in track.actions.items():
            action.confidence = min(1.0, float(track.smoothed[index_of[label]]))
            action.peak = max(action.peak, action.confidence)
            action.agreed += float(score.probabilities[index_of[label]]) >= action.needs.on
            kind = self._due(action, now_s)
            if kind is not None:
                action.event_id = action.event_id or self._new_event_id()
                action.told_s, action.told_confidence, action.told_clips = now_s, action.confidence, action.clips.count
                events.append(_event(score.track_id, label, action, kind, None, captured_at, track.model))
        return events

    def _judge(self, score: ActionScores, track: _TrackActions, index_of: Mapping[str, int]) -> None:
        """What this very clip says of each action at work, before smoothing."""
        first = int(np.argmax(score.probabilities))
        for label, action in track.actions.items():
            probability, on = float(score.probabilities[index_of[label]]), self._on(track.labels)[index_of[label]]
            action.judge(probability, bool(index_of[label] == first and probability >= on))

    def _due(self, action: _Action, now_s: float) -> EventKind | None:
        """Which message about a running action is due now, if any."""
        if action.event_id is None:
            lasted = now_s - action.onset_s >= action.needs.min_duration_s
            return EventKind.STARTED if lasted and action.agreed >= action.needs.clips else None
        moved = abs(action.confidence - action.told_confidence) >= self._config.update_step
        moved = moved or action.told_clips < min(action.clips.count, RECENT_CLIPS)
        waited = now_s - action.told_s >= self._config.update_every_s
        return EventKind.UPDATED if moved and waited else None

    def _end_all(self, track_id: int, track: _TrackActions, end_s: float, captured_at: float) -> list[ActionEvent]:
        events: list[ActionEvent] = []
        for label in list(track.actions):
            events += self._end(track_id, track, label, end_s, captured_at)
        return events

    def _end(
        self, track_id: int, track: _TrackActions, label: str, end_s: float, captured_at: float
    ) -> list[ActionEvent]:
        """Removes a running action → its ``ended`` event, or nothing when it never became an event."""
        action = track.actions.pop(label)
        if action.event_id is None:
            return []
        action.confidence = action.peak
        return [_event(track_id, label, action, EventKind.ENDED, max(end_s, action.onset_s), captured_at, track.model)]

    def _on(self, labels: tuple[str, ...]) -> Floats:
        """→ float32 (C,) the on threshold of each label; infinite for a label that is not allowed."""
        if self._thresholds[0] != labels:
            needed = map(self._config.needs, labels)
            on = [math.inf if needs is None else needs.on for needs in needed]
            self._thresholds = (labels, np.asarray(on, np.float32))
        return self._thresholds[1]

    def _label(self, track: _TrackActions) -> TrackLabel | None:
        if track.shown is None or track.on is None:
            return None
        order = [int(index) for index in np.argsort(-track.shown, kind="stable") if np.isfinite(track.on[index])]
        floor = 0.0 if self._config.thresholds is None else self._config.off / self._config.on
        named = [index for index in order if track.shown[index] >= track.on[index] * floor]
        if not named:
            return None
        scores = {track.labels[index]: min(1.0, float(track.shown[index])) for index in order[: self._config.top_k]}
        confidence = min(1.0, float(track.shown[named[0]]))
        return TrackLabel(track.labels[named[0]], confidence, scores, track.scored_s, track.provisional, track.model)


def _smoothed(before: Floats | None, new: Floats, passed: float) -> Floats:
    """float32 (C,) each, ``passed`` in time constants → what lies between the two; ``new`` where nothing was before."""
    if before is None:
        return new.copy()
    return before + np.float32(-math.expm1(-passed)) * (new - before)


def _event(
    track_id: int,
    label: str,
    action: _Action,
    kind: EventKind,
    end_s: float | None,
    captured_at: float,
    model: str,
) -> ActionEvent:
    return ActionEvent(
        event_id=action.event_id or "",
        track_id=track_id,
        action=label,
        kind=kind,
        confidence=action.confidence,
        start_s=action.onset_s,
        end_s=end_s,
        captured_at=captured_at,
        model=model,
        clips=action.clips,
    )
