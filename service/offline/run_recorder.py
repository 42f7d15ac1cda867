"""What evaluation keeps of a pipeline's run: the classifier's answers, what was shown for every frame, the events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.evaluation.videos.replay import ToldEvents
from models.evaluation.videos.run import NO_LABEL, Box, ClipRun, EventRun, TrackRun
from pipeline.entities import (
    ActionEvent,
    ActionScores,
    Clip,
    Detections,
    Floats,
    Frame,
    FrameResult,
    Track,
    TrackLabel,
    TrackState,
)
from pipeline.form.watch import TimedPoses
from pipeline.motion_voice import MotionVoice
from service.budget.plan import Plan
from service.stream import Inference


class RecordingInference:
    """Passes everything on to ``inner`` and keeps each clip's answer, with what ``motion`` will say beside it."""

    def __init__(self, inner: Inference, motion: MotionVoice | None = None) -> None:
        self._inner = inner
        self._motion = motion or MotionVoice()
        self._filled: dict[tuple[int, float], int] = {}
        self.clips: list[ClipRun] = []

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections | None:
        return self._inner.detect(frame, expected_xyxy)

    def plan(self) -> Plan:
        return self._inner.plan()

    def ask_poses(self, frame: Frame) -> None:
        self._inner.ask_poses(frame)

    def take_poses(self) -> list[TimedPoses]:
        return self._inner.take_poses()

    def submit(self, clip: Clip, gain: float = 1.0) -> None:
        self._filled[clip.track_id, clip.end_s] = clip.filled
        self._inner.submit(clip, gain)

    def finish(self) -> None:
        self._inner.finish()

    def take(self) -> list[ActionScores]:
        scores = self._inner.take()
        self.clips += [self._to_clip(score) for score in self._motion.beside(scores)]
        return scores

    def _to_clip(self, score: ActionScores) -> ClipRun:
        return ClipRun(
            track_id=score.track_id,
            start_s=round(score.start_s, 4),
            end_s=round(score.end_s, 4),
            filled=self._filled.pop((score.track_id, score.end_s)),
            provisional=score.provisional,
            # Six significant digits keep also the logarithms of tiny probabilities, which a temperature scales.
            probabilities=tuple(float(f"{value:.6g}") for value in score.probabilities),
        )


@dataclass
class _TrackColumns:
    frames: list[int] = field(default_factory=list)
    boxes_xyxy: list[Box] = field(default_factory=list)
    coasting_s: list[float] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)


class RunRecorder:
    """A sink that keeps numbers only: memory grows with the people in the video, not with its pictures."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._index = {label: index for index, label in enumerate(labels)}
        self._tracks: dict[int, _TrackColumns] = {}
        self.size_hw: tuple[int, int] | None = None
        self.frame_numbers: list[int] = []
        self.times_s: list[float] = []
        self._told = ToldEvents()

    def publish(self, result: FrameResult) -> None:
        self.size_hw = self.size_hw or result.frame.size_hw
        for track in result.tracks:
            if track.state is TrackState.CONFIRMED:
                self._add(track, result.labels.get(track.track_id))
        self.frame_numbers.append(result.frame.index + 1)
        self.times_s.append(round(result.frame.time_s, 4))
        self.publish_events(result.events, result.frame)

    @property
    def events(self) -> list[EventRun]:
        return self._told.events

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None:
        self._told.add(events, frame.time_s)

    def _add(self, track: Track, label: TrackLabel | None) -> None:
        columns = self._tracks.setdefault(track.track_id, _TrackColumns())
        x1, y1, x2, y2 = (round(float(value), 1) for value in track.box_xyxy)
        columns.frames.append(len(self.times_s))
        columns.boxes_xyxy.append((x1, y1, x2, y2))
        columns.coasting_s.append(round(track.coasting_s, 3))
        columns.shown.append(NO_LABEL if label is None else self._index[label.action])
        columns.confidence.append(0.0 if label is None else round(label.confidence, 4))

    def tracks(self) -> tuple[TrackRun, ...]:
        items = sorted(self._tracks.items())
        return tuple(
            TrackRun(
                track_id=track_id,
                frames=tuple(columns.frames),
                boxes_xyxy=tuple(columns.boxes_xyxy),
                coasting_s=tuple(columns.coasting_s),
                shown=tuple(columns.shown),
                confidence=tuple(columns.confidence),
            )
            for track_id, columns in items
        )
