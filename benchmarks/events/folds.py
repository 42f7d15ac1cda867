"""Who judges which source video, and how sure it may be: the five folds of ``benchmarks/tiers.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.events.boxes import beside, box_heads
from benchmarks.events.videos import fold_of
from benchmarks.tiers import FOLDS, divided, known_part
from models.data.manifest import Dataset
from models.evaluation.figures.calibration import fit_temperature
from models.evaluation.videos.run import VideoRun
from models.evaluation.videos.scores import rescaled
from pipeline.motion_voice import MotionHead


@dataclass(frozen=True)
class Folds:
    """``groups``: by fold the source videos that its network did not see; ``temperatures``: by fold, from 1.

    ``heads``: by fold what boxes say beside the network; none where it speaks alone.
    """

    groups: Sequence[set[str]]
    folder: Path
    temperatures: Mapping[int, float]
    heads: Mapping[int, MotionHead] = field(default_factory=dict)

    def of(self, group: str) -> int:
        return fold_of(group, self.groups)

    def network(self, fold: int) -> Path:
        return self.folder / f"fold-{fold}" / "weights"

    def temperature(self, fold: int) -> float:
        return self.temperatures.get(fold, 1.0)

    def judged(self, group: str, run: VideoRun) -> VideoRun:
        """What the network said of a video of ``group``, as sure as it may be, with what boxes say where they speak."""
        fold = self.of(group)
        alone = rescaled(run, self.temperature(fold))
        return beside(alone, self.heads[fold]) if fold in self.heads else alone


def read_folds(dataset: Dataset, folder: Path, boxes: Path | None = None) -> Folds:
    """``folder``: of one tier. Folds that are not trained yet have no temperature.

    ``boxes``: the working folder of `actoscope dataset extract` that ``dataset`` was cut from, where boxes speak, too.
    Raises DatasetError.
    """
    known = known_part(dataset)
    held_out = [divided(known, fold)[1] for fold in range(1, FOLDS + 1)]
    logits = {
        fold: np.load(file).astype(np.float64)
        for fold in range(1, FOLDS + 1)
        if (file := folder / f"fold-{fold}" / "logits.npy").is_file()
    }
    targets = {fold: np.asarray(known.targets(held_out[fold - 1]), np.int64) for fold in logits}
    temperatures = {fold: _of_others(fold, logits, targets) for fold in logits}
    heads = box_heads(known, boxes, logits, temperatures) if boxes is not None else {}
    return Folds([{record.group for record in records} for records in held_out], folder, temperatures, heads)


def _of_others(fold: int, logits: Mapping[int, np.ndarray], targets: Mapping[int, np.ndarray]) -> float:
    """Fitted on the held-out clips of all other folds: on its own a network would be judged by what it is judged on."""
    others = [other for other in logits if other != fold]
    if not others:
        return 1.0
    return fit_temperature(
        np.concatenate([logits[other] for other in others]), np.concatenate([targets[other] for other in others])
    )
