"""What a stored run says of each track in each frame: as the service showed it, and with hindsight.

The service must speak while the action goes on: nothing before the first clip, then smoothed. With hindsight a frame
gets the mean answer of all clips that hold it. Both are made from the run's raw answers, so other smoothing can be
tried on the same run; the smoother is the service's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.evaluation.figures.metrics import Floats
from models.evaluation.videos.replay import SLACK_S, Replay, ToldEvents
from models.evaluation.videos.run import NO_LABEL, ClipRun, EventRun, Setting, TrackRun, VideoRun, probabilities
from pipeline.actions import ActionSmoother, SmootherConfig
from pipeline.entities import TrackLabel


@dataclass(frozen=True, slots=True)
class RunScores:
    """``scores``: track_id → float64 (F, C), one row for each of the track's frames; NaN where nothing is said."""

    scores: dict[int, Floats]
    events: tuple[EventRun, ...]


def shown_scores(run: VideoRun, config: SmootherConfig | None = None) -> RunScores:
    """Plays the stored answers through the service's smoother: what it showed, or would with another ``config``."""
    config = replace(config or SmootherConfig(), top_k=len(run.labels))
    smoother = ActionSmoother(config)
    scores = {track.track_id: np.full((len(track.frames), len(run.labels)), np.nan) for track in run.tracks}
    filled: dict[int, int] = defaultdict(int)
    told = ToldEvents()
    index = {label: place for place, label in enumerate(run.labels)}
    for time_s, tracks, clips in Replay(run).frames:
        told.add(smoother.update(clips, tracks, time_s, 0.0), time_s)
        labels = smoother.labels()
        for track in tracks:
            row = filled[track.track_id]
            filled[track.track_id] += 1
            label = labels.get(track.track_id)
            if label is not None:
                scores[track.track_id][row] = _row(label, index)
    if run.times_s:
        told.add(smoother.finish(run.times_s[-1], 0.0), run.times_s[-1])
    return RunScores(scores, tuple(told.events))


def restudied(run: VideoRun, temperature: float, config: SmootherConfig, settings: Mapping[str, Setting]) -> VideoRun:
    """The run as another temperature and smoother would have made it, from its raw answers: no network is asked.

    ``settings`` are those that the outcome is stored with.
    """
    base = rescaled(run, temperature).model_copy(update={"settings": dict(settings)})
    said = shown_scores(base, config)
    tracks = tuple(
        track.model_copy(
            update={
                "shown": tuple(winners(said.scores[track.track_id]).tolist()),
                "confidence": tuple(np.nan_to_num(said.scores[track.track_id]).max(axis=1).round(4).tolist()),
            }
        )
        for track in run.tracks
    )
    return base.model_copy(update={"tracks": tracks, "events": said.events})


def rescaled(run: VideoRun, temperature: float) -> VideoRun:
    """The run's answers with another temperature; what was shown and the events stay as they were."""
    clips = tuple(_rescaled(clip, run.temperature / temperature) for clip in run.clips)
    return run.model_copy(update={"clips": clips, "temperature": temperature})


def _rescaled(clip: ClipRun, power: float) -> ClipRun:
    """Logits divided by T are probabilities to the power of 1 / T, made to sum to 1 again."""
    if power == 1:
        return clip
    chances = np.asarray(clip.probabilities, np.float64) ** power
    return clip.model_copy(update={"probabilities": tuple((chances / chances.sum()).tolist())})


def hindsight_scores(run: VideoRun) -> RunScores:
    """Each frame: the mean of the clips that hold it, else the last one before it, else the first one after it.

    Events are the spans over which a track's winner stays the same; ``confidence`` is the highest within.
    """
    scores: dict[int, Floats] = {}
    events: list[EventRun] = []
    for track in run.tracks:
        times = np.asarray([run.times_s[frame] for frame in track.frames])
        clips = run.clips_of(track.track_id)
        scores[track.track_id] = _hindsight(times, clips, len(run.labels))
        if clips:
            events += _spans(track, times, scores[track.track_id], run.labels)
    return RunScores(scores, tuple(events))


def winners(scores: Floats) -> NDArray[np.int64]:
    """(F, C) → (F,) class indices, ``NO_LABEL`` for rows of NaN."""
    said = ~np.isnan(scores).any(axis=1)
    best = np.full(len(scores), NO_LABEL, np.int64)
    best[said] = scores[said].argmax(axis=1)
    return best


def peak(run: VideoRun, label: str, config: SmootherConfig | None = None, smoothed: bool = True) -> float:
    """The highest probability of ``label`` that anybody in the video reached, 0 without any answer.

    ``smoothed``: as the service smooths it for events, else of single clips.
    """
    place = run.labels.index(label)
    if not smoothed:
        return max((clip.probabilities[place] for clip in run.clips), default=0.0)
    config = config or SmootherConfig()
    # Which labels may be shown has no part in how high a score was.
    as_events = replace(config, thresholds=None, label_time_constant_s=config.time_constant_s)
    found = shown_scores(run, as_events).scores.values()
    return max((float(np.nanmax(rows[:, place])) for rows in found if not np.isnan(rows).all()), default=0.0)


def _row(label: TrackLabel, index: dict[str, int]) -> Floats:
    """→ (C,) smoothed scores; labels that are not allowed get 0."""
    row = np.zeros(len(index))
    for name, score in label.scores.items():
        row[index[name]] = score
    return row


def _hindsight(times: Floats, clips: tuple[ClipRun, ...], classes: int) -> Floats:
    """(F,) times, the track's clips → (F, C)."""
    if not clips:
        return np.full((len(times), classes), np.nan)
    chances = probabilities(clips, classes)
    starts = np.asarray([clip.start_s for clip in clips]) - SLACK_S
    ends = np.asarray([clip.end_s for clip in clips]) + SLACK_S
    rows = np.zeros((len(times), classes))
    for place, time_s in enumerate(times):
        held = (starts <= time_s) & (time_s <= ends)
        if held.any():
            rows[place] = chances[held].mean(axis=0)
        else:
            before = np.flatnonzero(ends < time_s)
            rows[place] = chances[before[-1] if len(before) else 0]
    return rows


def _spans(track: TrackRun, times: Floats, scores: Floats, labels: tuple[str, ...]) -> list[EventRun]:
    best = scores.argmax(axis=1)
    cuts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
    return [
        EventRun(
            track_id=track.track_id,
            action=labels[best[first]],
            start_s=float(times[first]),
            end_s=float(times[end - 1]),
            confidence=float(scores[first:end, best[first]].max()),
        )
        for first, end in pairwise(cuts)
    ]
