"""The straight line: what happens to every frame of one stream, live or from a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pipeline.actions import ActionSmoother
from pipeline.clips import ClipConfig
from pipeline.entities import (
    ActionEvent,
    ActionScores,
    Clip,
    Detections,
    Floats,
    Frame,
    FrameResult,
    Repetition,
    Track,
    TrackLabel,
)
from pipeline.form.watch import FormWatch, TimedPoses
from pipeline.motion_voice import MotionVoice
from pipeline.pace import TooSlow
from pipeline.stride import StrideController
from pipeline.zones import ZoneWatch
from service.budget.plan import Plan, Tier
from service.budget.turns import Turns
from service.counters import Measures


class Inference(Protocol):
    """All that the straight line in ``stream.py`` knows of inference."""

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections | None:
        """→ the frame's people, or None when inference is away for now (tracks then coast)."""

    def plan(self) -> Plan:
        """→ what this stream may ask for now."""

    def ask_poses(self, frame: Frame) -> None:
        """The joints of the frame's people, please; they come by ``take_poses``. Never blocks a live stream."""

    def take_poses(self) -> list[TimedPoses]:
        """→ all poses that arrived since the last call."""

    def submit(self, clip: Clip, gain: float = 1.0) -> None:
        """Never blocks a live stream; a newer clip of the same track replaces one that still waits.

        ``gain``: what is gained by its answer for each second waited; those with the most come first.
        """

    def take(self) -> list[ActionScores]:
        """→ all scores that arrived since the last call."""

    def finish(self) -> None:
        """The source came to its end: waits for scores of clips that are still out, where waiting is right."""


class Tracker(Protocol):
    """All that the straight line knows of tracking (``pipeline.tracker.PersonTracker``)."""

    @property
    def next_track_id(self) -> int:
        """The ID that the next new person gets."""

    def expected(self, time_s: float) -> Floats:
        """→ float32 (M, 4) pixels: boxes where known people should be at ``time_s``."""

    def update(self, frame: Frame, detections: Detections | None) -> tuple[Track, ...]:
        """→ the frame's tracks; None: the frame was left out by design, everybody moves on by prediction."""


class Clips(Protocol):
    """Rolling buffers of what the networks see, one a track (``budget.tiered_clips``, ``pipeline.clips``)."""

    @property
    def skipped(self) -> int: ...

    @property
    def too_slow(self) -> TooSlow | None:
        """Set while pictures come too rarely for clips that a network could judge."""

    def push(self, frame: Frame, tracks: Sequence[Track], tier: Tier) -> list[Clip]:
        """→ the clips that became due at this frame, for the network of ``tier``, at most one a track."""

    def fill(self) -> dict[int, int]: ...

    def change(self, model: str, full: ClipConfig, light_model: str = "", light: ClipConfig | None = None) -> None:
        """Clips are for these networks from now on."""


class Sink(Protocol):
    """Where results go. ``publish`` must not block a live stream."""

    def publish(self, result: FrameResult) -> None: ...

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None:
        """Events without a new frame: the end of actions when a stream breaks off or stops."""


@dataclass
class Stages:
    """The state that one stream carries from frame to frame."""

    tracker: Tracker
    clips: Clips
    smoother: ActionSmoother
    stride: StrideController
    motion: MotionVoice = field(default_factory=MotionVoice)
    turns: Turns = field(default_factory=Turns)
    zones: ZoneWatch = field(default_factory=ZoneWatch)
    form: FormWatch = field(default_factory=FormWatch)
    measures: Measures = field(default_factory=Measures)
    last_frame: Frame | None = None
    clock: Callable[[], float] = time.monotonic


def run_stream(source: Iterable[Frame], inference: Inference, stages: Stages, sink: Sink) -> None:
    """Until the source ends. Raises what the source raises; open actions are ended in every case."""
    try:
        for frame in source:
            with stages.measures.timed("frame"):
                sink.publish(process_frame(frame, inference, stages))
        take_last_scores(inference, stages, sink)
    finally:
        end_actions(stages, sink)


def take_last_scores(inference: Inference, stages: Stages, sink: Sink) -> None:
    """Scores that came after the last frame may still start or move an action."""
    frame = stages.last_frame
    if frame is None:
        return
    inference.finish()
    tracks = stages.tracker.update(frame, None)
    scores = stages.motion.beside(inference.take())
    events = stages.smoother.update(scores, tracks, frame.time_s, frame.captured_at)
    sink.publish_events(_placed(events, stages), frame)


def process_frame(frame: Frame, inference: Inference, stages: Stages) -> FrameResult:
    """One frame through every stage."""
    timed, plan = stages.measures.timed, inference.plan()
    stages.stride.limit(plan.detections_per_s)
    detections = _detect(frame, inference, stages)
    with timed("track"):
        tracks = stages.tracker.update(frame, detections)
    stages.motion.see(frame, tracks)
    inside = stages.zones.update(tracks, frame.size_hw, analysed=detections is not None)
    with timed("crop"):
        clips = stages.clips.push(frame, tracks, plan.tier)
    known = stages.smoother.labels() if clips else {}  # until now: most frames have no clip that is due
    for chosen in stages.turns.choose(clips, tracks, known, plan):
        inference.submit(chosen.clip, chosen.gain)
    scores = stages.motion.beside(inference.take())
    events = stages.smoother.update(scores, tracks, frame.time_s, frame.captured_at)
    labels = stages.smoother.labels()
    repetitions = _count(frame, tracks, labels, inference, stages) if stages.form.on else ()
    return FrameResult(
        frame,
        tracks,
        labels=labels,
        buffers=stages.clips.fill(),
        events=_placed(events, stages),
        detected=detections is not None,
        zones=stages.zones.shown,
        inside=inside,
        repetitions=repetitions,
        counted=stages.form.counted(),
    )


def _count(
    frame: Frame, tracks: Sequence[Track], labels: Mapping[int, TrackLabel], inference: Inference, stages: Stages
) -> tuple[Repetition, ...]:
    """→ repetitions of exercises that are complete, with the zones that their people are in."""
    if stages.form.due(frame, tracks, inference.plan().poses_hz):
        inference.ask_poses(frame)
    done = stages.form.update(inference.take_poses(), tracks, labels, frame.time_s)
    return tuple(replace(each, zones=stages.zones.of(each.track_id)) for each in done)


def _placed(events: Sequence[ActionEvent], stages: Stages) -> tuple[ActionEvent, ...]:
    """→ the events with the zones that their people are in."""
    return tuple(replace(event, zones=stages.zones.of(event.track_id)) for event in events)


def _detect(frame: Frame, inference: Inference, stages: Stages) -> Detections | None:
    """None on frames that are left out by the stride: their tracks coast."""
    last, stages.last_frame = stages.last_frame, frame
    detections, waited_s = None, None
    if stages.stride.due(frame.index):
        begin = stages.clock()
        detections = inference.detect(frame, stages.tracker.expected(frame.time_s))
        waited_s = stages.clock() - begin
        stages.measures.observe("stage:detect_wait", waited_s)
    else:
        stages.measures.count("frames_coasted_total")
    if last is not None and last.epoch == frame.epoch:
        stages.stride.observe(waited_s, frame.time_s - last.time_s, max(0, frame.index - last.index - 1))
    return detections


def end_actions(stages: Stages, sink: Sink) -> None:
    """Ends what is going on: nobody can say that it goes on while no picture comes."""
    frame = stages.last_frame
    if frame is None:
        return
    events = stages.smoother.finish(frame.time_s, frame.captured_at)
    if events:
        sink.publish_events(_placed(events, stages), frame)


def why_no_labels(stages: Stages, source_hz: float) -> str | None:
    """→ why nobody can be labelled now, None where people can. ``source_hz``: pictures a second of the source."""
    slow = stages.clips.too_slow
    if slow is None:
        return None
    which = "camera" if source_hz < slow.least_hz else "machine"
    return f"{which} too slow: {slow.pictures_hz:.2g} of at least {slow.least_hz:.2g} pictures a second"
