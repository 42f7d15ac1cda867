"""The trials of one tuning in a store: what each tried, its epochs, why it ended; the table of all, and the pick.

tuning.json                    which tuning this is: another's trials are refused, not gone on with
trials/0007/rows.json          parameters and epochs of trial 7 by now; what is told there is not learnt again
trials/0007/final/…            its state, as of every job (``remote_state``)
trials.json, trials.csv        all of them side by side
picked.py                      the configuration with the best trial's values
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from models.errors import NotStoredError, StoreError, TrainingError
from models.store.protocol import NEW, Store
from models.training.config import CardText, TrainConfig
from models.training.config_source import config_source
from models.training.run.scores import HIGHER_IS_BETTER, better
from models.training.search import Value, drawn, with_values

TUNING_FILE, TRIALS_JSON, TRIALS_CSV, PICKED_FILE = "tuning.json", "trials.json", "trials.csv", "picked.py"
ROWS_FILE = "rows.json"
Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """``config``: what is learnt. ``values``: what of it is tried, by the field's name."""

    number: int
    values: Mapping[str, Value]
    config: TrainConfig

    @property
    def key(self) -> str:
        return f"trials/{self.number:04d}"


@dataclass(frozen=True, slots=True)
class Progress:
    """``ended``: why there are no more epochs; empty while there may be. ``attempts``: that it took by now, on all
    machines, in one run of the command, which ``command`` names.
    """

    rows: tuple[Row, ...] = ()
    ended: str = ""
    command: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What came out of a trial. ``best``: of the metric, after ``best_epoch``; None where nothing was measured."""

    trial: Trial
    epochs: int
    best: float | None
    best_epoch: int
    ended: str


def trials_of(config: TrainConfig, count: int, seed: int) -> tuple[Trial, ...]:
    """Each is chosen by val, so it learns from train alone. Raises TrainingError where they cannot be."""
    if config.monitor not in HIGHER_IS_BETTER:
        raise TrainingError(f"monitor must be one of {', '.join(HIGHER_IS_BETTER)}; got {config.monitor!r}")
    if seed < 0:
        raise TrainingError(f"expected a seed of at least 0, got {seed}")
    bare = replace(config, refit_on="train", folds=0)
    made = []
    for number in range(count):
        values = drawn(config, number, seed)
        made.append(Trial(number, values, replace(with_values(bare, values), name=f"{config.name}-trial-{number}")))
    return tuple(made)


def tuning_key(config: TrainConfig, of: str) -> str:
    """Names a tuning of the clips and the seed that ``of`` stands for: its configuration, and the ranges."""
    bare = replace(config, description="", dataset="", card=CardText())
    return hashlib.sha256(f"{config_source(bare, '')}\n{of}".encode()).hexdigest()


def claim(store: Store, key: str) -> None:
    """The store's place is this tuning's from now on. Raises TrainingError where it is another's."""
    try:
        found = json.loads(store.read(TUNING_FILE)[0])["key"]
    except NotStoredError:
        store.put_bytes(TUNING_FILE, (json.dumps({"key": key}) + "\n").encode(), over=NEW)
        return
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{TUNING_FILE} is damaged: {error}") from error
    if found != key:
        raise TrainingError("another configuration, data set or seed was tuned there; take another --output")


def read_progress(store: Store, trial: str) -> Progress:
    """``trial``: its key. Raises StoreError."""
    try:
        found = json.loads(store.read(f"{trial}/{ROWS_FILE}")[0])
        told = str(found.get("command", "")), int(found.get("attempts", 0))
        return Progress(tuple(found["rows"]), str(found["ended"]), *told)
    except NotStoredError:
        return Progress()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{trial}/{ROWS_FILE} is damaged: {error}; remove it, and its epochs are told anew") from error


def keep_progress(store: Store, trial: str, progress: Progress) -> None:
    store.put_bytes(f"{trial}/{ROWS_FILE}", (json.dumps(asdict(progress)) + "\n").encode())


def best_of(rows: Sequence[Row], monitor: str) -> tuple[float | None, int]:
    """→ the best value by now and its epoch, 0 where there is none. What has diverged is no value."""
    best, epoch = None, 0
    for row in rows:
        if math.isfinite(row.get(monitor, math.nan)) and better(row[monitor], best, monitor):
            best, epoch = row[monitor], int(row["epoch"])
    return best, epoch


def judged(trial: Trial, progress: Progress, ended: str) -> Judged:
    best, epoch = best_of(progress.rows, trial.config.monitor)
    return Judged(trial, len(progress.rows), best, epoch, ended)


def pick(found: Sequence[Judged], monitor: str) -> Judged | None:
    """→ the trial with the best value; of equal ones the first. None where none was measured."""
    chosen: Judged | None = None
    for each in found:
        if each.best is not None and (chosen is None or better(each.best, chosen.best, monitor)):
            chosen = each
    return chosen


def table(found: Sequence[Judged], monitor: str) -> list[tuple[object, ...]]:
    """→ rows to print and to keep: a heading, then a trial each."""
    names = [*found[0].trial.values] if found else []
    rows: list[tuple[object, ...]] = [("trial", *names, "epochs", monitor, "at epoch", "ended")]
    for each in found:
        values = (_plain(value) for value in each.trial.values.values())
        best = "" if each.best is None else f"{each.best:.4f}"
        rows.append((each.trial.number, *values, each.epochs, best, each.best_epoch or "", each.ended))
    return rows


def keep_table(store: Store, found: Sequence[Judged], monitor: str) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table(found, monitor))
    store.put_bytes(TRIALS_CSV, text.getvalue().encode())
    listed = [
        {
            "trial": each.trial.number,
            "values": {name: _plain(value) for name, value in each.trial.values.items()},
            "epochs": each.epochs,
            monitor: each.best,
            "best_epoch": each.best_epoch,
            "ended": each.ended,
        }
        for each in found
    ]
    store.put_bytes(TRIALS_JSON, (json.dumps(listed, indent=1) + "\n").encode())


def picked_source(config: TrainConfig, chosen: Judged, of: int, command: str) -> str:
    """→ a Python file: the configuration as it was given, with the values of ``chosen``, the best ``of`` so many."""
    tuned = replace(with_values(config, chosen.trial.values), name=f"{config.name}-tuned")
    values = ", ".join(f"{name} {_plain(value)}" for name, value in chosen.trial.values.items())
    said = (
        f"{config.name} with the values of trial {chosen.trial.number}, the best of {of}.\n\n    {command}\n\n"
        f"{values}: {config.monitor} {chosen.best:.4f} on val after epoch {chosen.best_epoch}.\n"
        "It was picked by val, so that figure flatters: measure on test.\n"
    )
    return config_source(tuned, said)


def _plain(value: Value) -> Any:
    return value.value if isinstance(value, Enum) else value
