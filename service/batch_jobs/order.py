"""What a machine is asked to run: a command of ours, with what AWS Batch would tell it of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.store.address import Place
from models.training.batch.share import Share

Row = dict[str, float]  # of a training's log: epoch, loss, val_macro_f1, …


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration that the machine need not have: its text is written there."""

    option: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class JobOrder:
    """``words`` behind ``actoscope``; those of ``config`` follow. ``output``: where the job's state is kept.
    ``environment``: what the job is told besides.
    """

    name: str
    words: tuple[str, ...]
    output: Place
    share: Share = Share()  # noqa: RUF009  # frozen
    config: ConfigFile | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """How a job does. ``lines``: what it has printed, from line number ``first`` on; ``rows``: its epochs.
    ``status`` None: it goes on; below 0: a signal ended it. ``complaint``: the end of what it said on standard error.
    """

    first: int
    lines: tuple[str, ...]
    rows: tuple[Row, ...]
    status: int | None
    complaint: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one job takes of a machine."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")


def told_of_itself(order: JobOrder, job: str, attempt: int) -> dict[str, str]:
    """→ the variables by which AWS Batch tells a job which it is."""
    share = order.share
    array = {"ARRAY_INDEX": str(share.index), "ARRAY_SIZE": str(share.folds)} if share.is_fold else {}
    told = {"ID": f"{job}:{share.index}" if share.is_fold else job, "ATTEMPT": str(attempt), **array}
    return {f"AWS_BATCH_JOB_{name}": value for name, value in told.items()}


def last_lines(lines: Sequence[str], most: int = 5) -> str:
    return "\n".join(lines[-most:])
