"""Where a job works on its machine. Jobs that run there side by side share data sets and features, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from models.store.address import Place
from models.training.batch.share import Share


@dataclass(frozen=True, slots=True)
class Scratch:
    """``root``: a folder of this machine that nobody needs afterwards. ``output``: where the job's state is kept."""

    root: Path
    output: Place

    @property
    def own(self) -> str:
        """Names the run: its folders are no other's."""
        return hashlib.sha256(str(self.output).encode()).hexdigest()[:12]

    @property
    def runs(self) -> Path:
        """The folder of each share's logs and states lies there, under its name."""
        return self.root / "runs" / self.own

    @property
    def features(self) -> Path:
        return self.root / "features"

    def model(self, name: str) -> Path:
        return self.root / "model" / self.own / name

    def data(self, sha256: str) -> Path:
        """The folder of a pushed data set."""
        return self.root / "data" / sha256[:12]

    def log(self, share: Share) -> Path:
        """Where the curve stands while the share is learnt: a row an epoch."""
        return self.runs / share.name / "log.csv"
