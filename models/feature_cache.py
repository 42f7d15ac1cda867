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

from models.data.input_pipeline import InputConfig, read_flow, read_input
from models.data.manifest import ClipRecord
from models.frozen_front import Features, front_key, load_front
from models.train_config import Mode
from models.transfer import CHANNELS, front
from pipeline.cpu import file_sha256

READ_AHEAD = 3  # clips decoded while the network runs; 10 MB each at 64×224²
Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """``files[i][k]``: features of clip i under augmentation draw k (0: none), float16 ``shape`` = (t, h, w, c)."""

    files: tuple[tuple[Path, ...], ...]
    shape: tuple[int, ...]


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
    """Run ``model`` up to ``endpoint`` for every (clip, draws) of ``wanted`` that is not on disk yet.

    Memory is bounded by a few clips. Raises DatasetError for a clip that cannot be read, OSError for a full disk.
    """
    part = front(model, endpoint)
    clip_shape = (config.window.length, config.size, config.size, CHANNELS[stream])
    folder = root / f"{stream.value}-{endpoint}-{_short(front_key(part), str(clip_shape))}"
    folder.mkdir(parents=True, exist_ok=True)
    clips = [_short(clip_key(record.path)) for record, _ in wanted]
    files = tuple(
        tuple(folder / f"{clip}-{draw_key(config, stream, draw)}.npy" for draw in range(draws))
        for clip, (_, draws) in zip(clips, wanted, strict=True)
    )
    tasks = {
        file: _Task(record, draw, file)
        for (record, _), row in zip(wanted, files, strict=True)
        for draw, file in enumerate(row)
        if not file.is_file()
    }
    if tasks:
        _compute(part, clip_shape, list(tasks.values()), stream, config, progress)
    return FeatureSet(files, np.load(files[0][0], mmap_mode="r").shape)


def draw_key(config: InputConfig, stream: Mode, draw: int) -> str:
    """→ name of a draw: draw 0 depends on no augmentation, so that every training shares it."""
    parts = [repr(config.window), str(config.size)]
    if stream is Mode.FLOW:
        parts += [config.flow_method.value, config.flow_precision.value]
    if draw == 0:
        return f"plain-{_short(*parts)}"
    return f"{draw:02d}-{_short(*parts, repr(config.augment), str(config.seed))}"


def clip_key(path: Path) -> str:
    """→ sha256 of a clip's content, whatever its name: of the file, or of all pictures of a folder."""
    if not path.is_dir():
        return file_sha256(path)
    return _short(*(f"{file.name} {file_sha256(file)}" for file in sorted(path.glob("*.jpg"))))


def _compute(
    part: Any,
    clip_shape: tuple[int, int, int, int],
    tasks: list[_Task],
    stream: Mode,
    config: InputConfig,
    progress: Progress,
) -> None:
    run, runner = load_front(part, clip_shape)
    what = f"features ({stream.value}, {runner})"
    for done, (task, clip) in enumerate(_read_ahead(tasks, stream, config)):
        progress(what, done, len(tasks))
        save_features(task.file, run(clip))
    progress(what, len(tasks), len(tasks))


def _read_ahead(tasks: list[_Task], stream: Mode, config: InputConfig) -> Iterator[tuple[_Task, NDArray[np.float32]]]:
    """Clips in the order of ``tasks``, decoded and augmented while the network is busy with earlier ones."""
    pending: deque[tuple[_Task, Future[NDArray[np.float32]]]] = deque()
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


def _read(task: _Task, stream: Mode, config: InputConfig) -> NDArray[np.float32]:
    """→ float (T, S, S, 3) RGB or (T, S, S, 2) flow in [-1, 1]."""
    draw = task.draw or None  # 0 is the plain clip, which ``read_input`` calls None
    if stream is Mode.FLOW:
        return read_flow(task.record, config, draw)
    return read_input(task.record, config, draw).astype(np.float32) / np.float32(127.5) - np.float32(1)


def save_features(file: Path, features: Features) -> None:
    """Write the whole file or nothing."""
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as stream:
        np.save(stream, features)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def _short(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
