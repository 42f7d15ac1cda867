"""Inference for work on files: in the caller's own process, and nothing is left out since it takes long."""

from __future__ import annotations

from pipeline.entities import ActionScores, Clip, Detections, Floats, Frame
from pipeline.form.watch import TimedPoses
from service.budget.plan import EVERYTHING, Plan
from service.engine import InferenceEngine, Pictures


class LocalInference:
    """Inference in the caller's own process for ``actoscope annotate``: waits where a live stream would drop."""

    def __init__(self, engine: InferenceEngine, model: str, plan: Plan = EVERYTHING) -> None:
        self._engine = engine
        self._model = model
        self._plan = plan
        self._waiting: list[Clip] = []
        self._poses: list[TimedPoses] = []

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections | None:
        return self._engine.detect([frame.image], [expected_xyxy], self._plan.image_size)[0]

    def plan(self) -> Plan:
        return self._plan

    def submit(self, clip: Clip, gain: float = 1.0) -> None:
        self._waiting.append(clip)

    def ask_poses(self, frame: Frame) -> None:
        self._poses.append(TimedPoses(frame.time_s, self._engine.find_poses(frame.image)))

    def take_poses(self) -> list[TimedPoses]:
        poses, self._poses = self._poses, []
        return poses

    def finish(self) -> None:
        """Nothing is ever out: ``take`` classifies what waits."""

    def take(self) -> list[ActionScores]:
        clips, self._waiting = self._waiting, []
        limit = max(self._engine.batch_limit(self._model), self._engine.scene_limit(self._model))
        labels = self._engine.classifier(self._model).labels
        scores: list[ActionScores] = []
        for begin in range(0, len(clips), limit):
            batch = clips[begin : begin + limit]
            keys = [(0, clip.track_id) for clip in batch]
            found = self._engine.classify(self._model, [Pictures.of(clip) for clip in batch], keys)
            scores += [ActionScores.of(clip, labels, row) for clip, row in zip(batch, found, strict=True)]
        return scores
