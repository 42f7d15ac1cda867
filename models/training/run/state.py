"""What a training needs to go on after a kill: one file, written whole or not at all after every epoch."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError
from pipeline.files import write_atomically

LAST_FILE, BEST_FILE = "last.npz", "best.npz"
Arrays = tuple[NDArray[Any], ...]
Row = Mapping[str, float]  # one epoch's figures by name; "epoch" counts from 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """After ``epochs`` epochs of the training called ``key``. ``weights``, ``average`` and ``optimizer`` are in Keras'
    order; ``average`` is empty where weights are not averaged. ``best_epoch`` counts from 1, 0: none yet.

    ``steps``: batches of the next epoch that are done already, where the training was halted in the middle of one.
    ``moving``: what else has moved by then, in the loop's order: random generators, and means of figures.
    """

    key: str
    epochs: int
    weights: Arrays
    optimizer: Arrays = ()
    average: Arrays = ()
    history: tuple[Row, ...] = ()
    best_epoch: int = 0
    stopped: bool = False
    steps: int = 0
    moving: Arrays = ()


@dataclass(frozen=True, slots=True)
class _Meta:
    key: str
    epochs: int
    best_epoch: int
    stopped: bool
    counts: Sequence[int]  # of arrays; files of earlier versions have three groups
    history: Sequence[Row] = field(default_factory=tuple)
    steps: int = 0


def save_checkpoint(path: Path, state: Checkpoint) -> None:
    """Raises OSError where the disk fails; the file then holds what it held before."""
    groups = (state.weights, state.optimizer, state.average, state.moving)
    counts = tuple(map(len, groups))
    meta = _Meta(state.key, state.epochs, state.best_epoch, state.stopped, counts, state.history, state.steps)
    arrays: dict[str, Any] = {f"{i:05d}": array for i, array in enumerate(array for group in groups for array in group)}
    arrays["meta"] = np.array(json.dumps(asdict(meta)))
    write_atomically(path, lambda stream: np.savez(stream, **arrays))


def load_checkpoint(path: Path, key: str) -> Checkpoint | None:
    """→ None where there is no file. Raises TrainingError when it is damaged or belongs to another training."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = _Meta(**json.loads(str(file["meta"])))
            arrays = [file[f"{index:05d}"] for index in range(sum(meta.counts))]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} cannot be read: {error}; remove it to start anew") from error
    if meta.key != key:
        raise TrainingError(f"{path} belongs to another configuration or data set; take another run folder")
    rest = iter(arrays)
    weights, optimizer, average, moving, *_ = (tuple(islice(rest, count)) for count in (*meta.counts, 0))
    return Checkpoint(
        key=key,
        epochs=meta.epochs,
        weights=weights,
        optimizer=optimizer,
        average=average,
        history=tuple(meta.history),
        best_epoch=meta.best_epoch,
        stopped=meta.stopped,
        steps=meta.steps,
        moving=moving,
    )
