"""An ``Inference`` that knows nothing of joints."""

from __future__ import annotations

from pipeline.entities import Frame
from pipeline.form.watch import TimedPoses


class NoPoses:
    def ask_poses(self, frame: Frame) -> None:
        """Nobody counts repetitions here."""

    def take_poses(self) -> list[TimedPoses]:
        return []
