"""Features of the frozen part, computed once and kept on disk, so that training what comes behind takes minutes.

``ROOT/<network>/<clip>-<draw>.npy``, each float16 (t, h, w, c), written under another name and renamed: an interrupted
run goes on where it stopped. ``<network>`` stands for the weights, the endpoint and the clip's size, ``<clip>`` for
the content of the file, ``<draw>`` for the augmentation; anything changed gets a name of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.batches.input_pipeline import InputConfig, read_counted, read_flow
from models.data.manifest import ClipRecord
from models.training.config import Mode
from models.training.frozen_front import Features, front_key, load_front
from models.training.transfer import CHANNELS, front
from pipeline.files import file_sha256

READ_AHEAD = 3  # clips decoded while the network runs; 10 MB each at 64×224²
Progress = Callable[[str, int, int], None]  # what, done, of how many
_Counted = tuple[NDArray[np.float32], int]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """``files[i][k]``: features of clip i under augmentation draw k (0: none), float16 ``shape``: (t, h, w, c), or
    (t, c) for sequences, of which a file may hold fewer than t rows.
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


def cached_features(
    model: Any,
    stream: Mode,
    endpoint: str,
    wanted: Sequence[tuple[ClipRecord, int]],
    config: InputConfig,
    root: Path,
    progress: Progress,
) -> FeatureSet:
    """Run I3D up to ``endpoint`` for every (clip, draws) of ``wanted``; otherwise as ``features_of``."""
    part = front(model, endpoint)
    name = f"{stream.value}-{endpoint}-{short_key(front_key(part), str(clip_shape(config, stream)))}"
    return features_of(Frozen(part, stream, name), wanted, config, root, progress)


def features_of(
    frozen: Frozen, wanted: Sequence[tuple[ClipRecord, int]], config: InputConfig, root: Path, progress: Progress
) -> FeatureSet:
    """Run the network's part for every (clip, draws) of ``wanted`` that is not on disk yet.

    Memory is bounded by a few clips. Raises DatasetError for a clip that cannot be read, OSError for a full disk.
    """
    folder = root / frozen.name
    folder.mkdir(parents=True, exist_ok=True)
    end = "-once.npy" if frozen.pictures else ".npy"
    clips = [short_key(clip_key(record.path)) for record, _ in wanted]
    files = tuple(
        tuple(folder / f"{clip}-{draw_key(config, frozen.stream, draw)}{end}" for draw in range(draws))
        for clip, (_, draws) in zip(clips, wanted, strict=True)
    )
    tasks = {
        file: _Task(record, draw, file)
        for (record, _), row in zip(wanted, files, strict=True)
        for draw, file in enumerate(row)
        if not file.is_file()
    }
    if tasks:
        _compute(frozen, list(tasks.values()), config, progress)
    if frozen.pictures:
        return FeatureSet(files, tuple(frozen.model.output_shape[1:]))
    return FeatureSet(files, np.load(files[0][0], mmap_mode="r").shape)


def clip_shape(config: InputConfig, stream: Mode) -> tuple[int, int, int, int]:
    """→ (T, S, S, C) of the float clips."""
    return config.window.length, config.size, config.size, CHANNELS[stream]


def draw_key(config: InputConfig, stream: Mode, draw: int) -> str:
    """→ name of a draw: draw 0 depends on no augmentation, so that every training shares it."""
    parts = [repr(config.window), str(config.size)]
    if stream is Mode.FLOW:
        parts += [config.flow_method.value, config.flow_precision.value]
    if draw == 0:
        return f"plain-{short_key(*parts)}"
    return f"{draw:02d}-{short_key(*parts, repr(config.augment), str(config.seed))}"


def clip_key(path: Path) -> str:
    """→ sha256 of a clip's content, whatever its name: of the file, or of all pictures of a folder."""
    if not path.is_dir():
        return file_sha256(path)
    return short_key(*(f"{file.name} {file_sha256(file)}" for file in sorted(path.glob("*.jpg"))))


def _compute(frozen: Frozen, tasks: list[_Task], config: InputConfig, progress: Progress) -> None:
    run, runner = load_front(frozen.model, clip_shape(config, frozen.stream))
    what = f"features ({frozen.stream.value}, {runner})"
    for done, (task, (clip, real)) in enumerate(_read_ahead(tasks, frozen.stream, config)):
        progress(what, done, len(tasks))
        save_features(task.file, run(clip)[: frozen.rows(real)])
    progress(what, len(tasks), len(tasks))


def _read_ahead(tasks: list[_Task], stream: Mode, config: InputConfig) -> Iterator[tuple[_Task, _Counted]]:
    """Clips in the order of ``tasks``, decoded and augmented while the network is busy with earlier ones."""
    pending: deque[tuple[_Task, Future[_Counted]]] = deque()
    with ThreadPoolExecutor(1, "read-clip") as pool:
        try:
            for task in tasks:
                pending.append((task, pool.submit(_read, task, stream, config)))
                if len(pending) > READ_AHEAD:
                    first, clip = pending.popleft()
                    yield first, clip.result()
            while pending:
                first, clip = pending.popleft()
                yield first, clip.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(task: _Task, stream: Mode, config: InputConfig) -> _Counted:
    """→ float (T, S, S, 3) RGB or (T, S, S, 2) flow in [-1, 1], and how many pictures are no repetition."""
    draw = task.draw or None  # 0 is the plain clip, which ``read_counted`` calls None
    if stream is Mode.FLOW:
        return read_flow(task.record, config, draw), config.window.length
    clip, real = read_counted(task.record, config, draw)
    return clip.astype(np.float32) / np.float32(127.5) - np.float32(1), real


def save_features(file: Path, features: Features) -> None:
    """Write the whole file or nothing."""
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as stream:
        np.save(stream, features)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def short_key(*parts: str) -> str:
    """→ 20 hex digits that stand for all ``parts``."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
