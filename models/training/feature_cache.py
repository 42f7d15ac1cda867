"""Features of the frozen part, computed once and kept on disk, so that training what comes behind takes minutes.

``ROOT/<network>/<clip>-<draw>.npy``, each float16 (t, h, w, c), written under another name and renamed: an interrupted
run goes on where it stopped. ``<network>`` stands for the weights, the endpoint and the clip's size, ``<clip>`` for
the content of the file, ``<draw>`` for the augmentation; anything changed gets a name of its own.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import ClipRecord
from models.errors import UnreadableFileError
from models.training.config import Mode
from models.training.frozen_front import Features, load_front
from pipeline.files import write_atomically

READ_AHEAD = 3  # clips decoded while the network runs; 10 MB each at 64×224²
Progress = Callable[[str, int, int], None]  # what, done, of how many
Counted = tuple[NDArray[np.float32], int]  # float (T, H, W, C) in [-1, 1], how many pictures are no repetition


class ClipReader(Protocol):
    """Reads the clips of one stream for the frozen part, and names them."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C) of every clip."""

    def names(self, record: ClipRecord, draws: int) -> Sequence[str]:
        """→ one name a draw that stands for the clip's content and all that is done to it; draw 0: nothing random."""

    def read(self, record: ClipRecord, draw: int) -> Counted:
        """Raises DatasetError for a clip that cannot be read."""


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """``files[i][k]``: features of clip i under augmentation draw k (0: none), float16 ``shape``: (t, h, w, c), (F,)
    where depths pass the cut by, or (t, c) for sequences, of which a file may hold fewer than t rows.
    """

    files: tuple[tuple[Path, ...], ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frozen:
    """The part of a network whose features are kept. ``model``: float clips of ``stream`` → features.

    ``name`` of the folder stands for all that they depend on but clip and draw. ``pictures``: where each row of the
    features belongs to one picture, and rows of pictures that the window repeats are to be left out, which ones.
    """

    model: Any
    stream: Mode
    name: str
    pictures: tuple[int, ...] = ()

    def rows(self, real: int) -> int | None:
        """→ how many rows of a window whose first ``real`` pictures are no repetition are kept, None: all."""
        return max(1, sum(picture < real for picture in self.pictures)) if self.pictures else None


@dataclass(frozen=True, slots=True)
class _Task:
    record: ClipRecord
    draw: int
    file: Path


def features_of(
    frozen: Frozen, wanted: Sequence[tuple[ClipRecord, int]], reader: ClipReader, root: Path, progress: Progress
) -> FeatureSet:
    """Run the network's part for every (clip, draws) of ``wanted`` that is not on disk yet.

    Memory is bounded by a few clips. Raises DatasetError for a clip that cannot be read, OSError for a full disk.
    """
    folder = root / frozen.name
    folder.mkdir(parents=True, exist_ok=True)
    end = "-once.npy" if frozen.pictures else ".npy"
    files = tuple(tuple(folder / f"{name}{end}" for name in reader.names(record, draws)) for record, draws in wanted)
    tasks = {
        file: _Task(record, draw, file)
        for (record, _), row in zip(wanted, files, strict=True)
        for draw, file in enumerate(row)
        if not file.is_file()
    }
    if tasks:
        _compute(frozen, list(tasks.values()), reader, progress)
    if frozen.pictures:
        return FeatureSet(files, tuple(frozen.model.output_shape[1:]))
    return FeatureSet(files, read_features(files[0][0]).shape)


def _compute(frozen: Frozen, tasks: list[_Task], reader: ClipReader, progress: Progress) -> None:
    run, runner = load_front(frozen.model, reader.shape)
    what = f"features ({frozen.stream.value}, {runner})"
    for done, (task, (clip, real)) in enumerate(_read_ahead(tasks, reader)):
        progress(what, done, len(tasks))
        save_features(task.file, run(clip)[: frozen.rows(real)])
    progress(what, len(tasks), len(tasks))


def _read_ahead(tasks: list[_Task], reader: ClipReader) -> Iterator[tuple[_Task, Counted]]:
    """Clips in the order of ``tasks``, decoded and augmented while the network is busy with earlier ones."""
    pending: deque[tuple[_Task, Future[Counted]]] = deque()
    with ThreadPoolExecutor(1, "read-clip") as pool:
        try:
            for task in tasks:
                pending.append((task, pool.submit(reader.read, task.record, task.draw)))
                if len(pending) > READ_AHEAD:
                    first, clip = pending.popleft()
                    yield first, clip.result()
            while pending:
                first, clip = pending.popleft()
                yield first, clip.result()
        finally:
            pool.shutdown(cancel_futures=True)


def save_features(file: Path, features: Features) -> None:
    """Write the whole file or nothing."""
    write_atomically(file, lambda stream: np.save(stream, features))


def read_features(file: Path) -> Features:
    """→ float16 as ``save_features`` wrote them. Raises UnreadableFileError."""
    try:
        return cast("Features", np.load(file, mmap_mode="r"))
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableFileError(f"{file} cannot be read: {error}; remove it to have it computed again") from error


def short_key(*parts: str) -> str:
    """→ 20 hex digits that stand for all ``parts``."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
