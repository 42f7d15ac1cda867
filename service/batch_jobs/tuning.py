"""What is heard of the trials of a tuning while they run. Knows no Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.training.batch.trials import Judged, Progress, Row, Trial, best_of, judged

UNFINISHED = "interrupted"


@dataclass(frozen=True, slots=True)
class Halving:
    """ASHA (Li et al. 2020): after ``grace`` epochs, and each time after ``reduction`` times as many, a trial goes on
    that is among the best 1/``reduction`` of those that have come so far. ``parallel``: trials at once, 0: as many as
    there is room for.
    """

    grace: int
    reduction: float
    parallel: int = 0


class Listener:
    """``tell``: a line for a person."""

    def __init__(self, trials: Sequence[Trial], monitor: str, tell: Callable[[str], None]) -> None:
        self._trials = trials
        self._monitor = monitor
        self._tell = tell
        self._rows: dict[int, list[Row]] = {trial.number: [] for trial in trials}
        self._ended: dict[int, str] = {}

    def epoch(self, number: int, row: Row) -> None:
        """One that is told again (a trial that was taken up) is no news."""
        rows = self._rows[number]
        if row["epoch"] > len(rows):
            rows.append(row)
            best, _ = best_of(rows, self._monitor)
            now = row.get(self._monitor)
            if now is not None and best is not None:
                self._tell(f"trial {number}: epoch {int(row['epoch'])} {self._monitor} {now:.4f}, best {best:.4f}")

    def ended(self, number: int, why: str) -> None:
        if number not in self._ended:
            self._ended[number] = why
            epochs = len(self._rows[number])
            self._tell(f"trial {number}: {why} after {epochs} epoch{'' if epochs == 1 else 's'}")

    def taken_up(self, number: int, why: str) -> None:
        self._tell(f"trial {number}: {why}; it is taken up from its last epoch")

    @property
    def is_whole(self) -> bool:
        return len(self._ended) == len(self._trials)

    def found(self) -> tuple[Judged, ...]:
        """→ every trial by now."""
        return tuple(
            judged(trial, Progress(tuple(self._rows[trial.number])), self._ended.get(trial.number, UNFINISHED))
            for trial in self._trials
        )
