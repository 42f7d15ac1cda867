"""What one job of a training is: one fold of several, or the network that is kept. Loads no network library."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Share:
    """``index`` of ``folds``, from 0. One fold alone is no fold: the training whose network is kept."""

    index: int = 0
    folds: int = 1

    def __post_init__(self) -> None:
        if self.folds < 1 or not 0 <= self.index < self.folds:
            raise TrainingError(f"expected a fold in 0..{self.folds - 1}, got {self.index}")

    @property
    def is_fold(self) -> bool:
        return self.folds > 1

    @property
    def name(self) -> str:
        """As the folders of ``actoscope train`` are called."""
        return f"fold-{self.index + 1}" if self.is_fold else "final"
