"""From records of a data set to batches for a network: decoded in parallel, in bounded memory, in an order and with
augmentation that depend on the seed and the epoch only, so that a training resumed at epoch k sees what it would have.

Works with every Keras backend: TensorFlow only moves data here, on the CPU; jax and torch read
``batches(...).as_numpy_iterator()``.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.batches.augment_config import AugmentConfig, ClipDraw, draw_clip, draw_window
from models.data.batches.clip_window import DEFAULT_WINDOW, WindowConfig, window_indices
from models.data.batches.flow import Flow, FlowMethod, flow_fields, pick_fields
from models.data.batches.flow_cache import FlowCache, FlowPrecision
from models.data.clip_file import read_clip
from models.data.manifest import ClipRecord, Split
from models.errors import DatasetError, UnreadableFileError

Clip = NDArray[np.uint8]  # (T, S, S, 3) RGB
Number = tuple[int | None, int]  # of the draw, of the repetition


class Stream(str, Enum):
    """What the network sees."""

    RGB = "rgb"
    FLOW = "flow"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class InputConfig:
    """What comes out, and how. ``size`` pixels a side; clips of another size are resized.

    ``augment``: None for none; it is applied to records of ``augment_splits`` only. ``flow_folder``: where optical
    flow is cached; None computes it each time. ``workers`` clips are decoded at once (0: one a core). In memory are
    at most ``workers`` clips being decoded and two batches more than the one in use.
    """

    num_classes: int
    window: WindowConfig = DEFAULT_WINDOW
    size: int = 224
    stream: Stream = Stream.RGB
    augment: AugmentConfig | None = None
    augment_splits: tuple[Split, ...] = (Split.TRAIN,)
    batch: int = 8
    shuffle: bool = False
    seed: int = 0
    workers: int = 0
    flow_folder: Path | None = None
    flow_method: FlowMethod = FlowMethod.DIS
    flow_precision: FlowPrecision = FlowPrecision.INT8

    def __post_init__(self) -> None:
        lowest = {"num_classes": 1, "size": 16, "batch": 1, "seed": 0, "workers": 0}
        wrong = [
            f"{name} >= {low}, got {getattr(self, name)}" for name, low in lowest.items() if getattr(self, name) < low
        ]
        if wrong:
            raise DatasetError(f"expected {'; '.join(wrong)}")


def read_input(record: ClipRecord, config: InputConfig, draw: int | None = None, repeat: int = 0) -> Clip:
    """One clip as the network gets it, before scaling → uint8 (T, S, S, 3) RGB.

    ``draw``: the number of the augmentation draw, from 0 on; the same number gives the same pixels. None, or a record
    outside ``augment_splits``, gives the window of the configuration unchanged. ``repeat`` sets the rows of one clip
    that balancing repeated apart (``repeat_numbers``). Raises DatasetError naming the file.
    """
    clip, plan = _read_and_plan(record, config, (draw, repeat))
    return _rgb(clip, plan, config)


def read_counted(
    record: ClipRecord, config: InputConfig, draw: int | None = None, decoded: Clip | None = None
) -> tuple[Clip, int]:
    """As ``read_input``, and how many pictures there are before they are played back and forth, from 1 on.

    ``decoded``: what ``read_clip`` gave of the record's file, where the caller has it at hand.
    """
    clip, plan = _read_and_plan(record, config, (draw, 0), decoded)
    return _rgb(clip, plan, config), plan.real


def read_flow(record: ClipRecord, config: InputConfig, draw: int | None = None, repeat: int = 0) -> Flow:
    """The same window and geometry as ``read_input`` → float32 (T, S, S, 2) in [-1, 1]."""
    clip, plan = _read_and_plan(record, config, (draw, repeat))
    return _flow(clip, plan, config)


def iterate(
    records: Sequence[ClipRecord], targets: Sequence[int], config: InputConfig, epoch: int = 0
) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    """The batches of ``batches`` as arrays. Raises UnreadableFileError for a clip that cannot be read."""
    broken: list[UnreadableFileError] = []
    arrays = batches(records, targets, config, epoch, broken).as_numpy_iterator()
    try:
        yield from arrays
    except import_tensorflow().errors.OpError as error:
        if not broken:
            raise
        raise broken[0] from error


def batches(
    records: Sequence[ClipRecord],
    targets: Sequence[int],
    config: InputConfig,
    epoch: int = 0,
    broken: list[UnreadableFileError] | None = None,
) -> Any:
    """One epoch as a ``tf.data.Dataset`` of (inputs, float32 one-hot (B, C)); the last batch may be smaller.

    Inputs are float32 in [-1, 1]: (B, T, S, S, 3), for FLOW (B, T, S, S, 2), for BOTH a dict of these called ``rgb``
    and ``flow``. Draw number ``epoch`` of every clip is used. Raises DatasetError for targets that do not fit; a clip
    that cannot be read ends the iteration with TensorFlow's error holding our message, and is noted in ``broken``.
    """
    _check(records, targets, config)
    tf = import_tensorflow()
    order = epoch_order(len(records), config.seed if config.shuffle else None, epoch)
    repeats = repeat_numbers(records)

    def load(index: np.int64) -> tuple[NDArray[Any], ...]:
        return _load(records[int(index)], config, (epoch, repeats[int(index)]), broken)

    def shaped(index: Any) -> tuple[Any, Any]:
        kinds = _kinds(config)
        arrays = tf.numpy_function(load, [index], [tf.as_dtype(dtype) for _, _, dtype in kinds], stateful=False)
        for array, (_, shape, _) in zip(arrays, kinds, strict=True):
            array.set_shape(shape)
        named = {name: array for array, (name, _, _) in zip(arrays, kinds, strict=True)}
        return named, tf.one_hot(tf.gather(wanted, index), config.num_classes)

    def scaled(inputs: Any, one_hot: Any) -> tuple[Any, Any]:
        if "rgb" in inputs:  # as bytes up to here: a quarter of the memory
            inputs = {**inputs, "rgb": tf.cast(inputs["rgb"], tf.float32) / 127.5 - 1.0}
        return (inputs if config.stream is Stream.BOTH else inputs[config.stream.value]), one_hot

    wanted = tf.constant(np.asarray(targets, np.int64))
    workers = config.workers or os.cpu_count() or 1
    dataset = tf.data.Dataset.from_tensor_slices(order)
    dataset = dataset.map(shaped, num_parallel_calls=workers, deterministic=True)
    return dataset.batch(config.batch).map(scaled).prefetch(1)


def epoch_order(count: int, seed: int | None, epoch: int) -> NDArray[np.int64]:
    """→ (count,) the order of the records in an epoch: shuffled by seed and epoch, as given without a seed."""
    if seed is None:
        return np.arange(count, dtype=np.int64)
    return np.random.default_rng([seed, epoch]).permutation(count).astype(np.int64)


def repeat_numbers(records: Sequence[ClipRecord]) -> list[int]:
    """→ for each record, how many before it have the same clip; balancing repeats rows, and their draws must differ."""
    seen: Counter[Path] = Counter()
    numbers = []
    for record in records:
        numbers.append(seen[record.path])
        seen[record.path] += 1
    return numbers


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which pictures of a clip are shown, and what happens to them. The first ``real`` are no repetition."""

    indices: NDArray[np.intp]
    draw: ClipDraw
    real: int


def _read_and_plan(
    record: ClipRecord, config: InputConfig, number: Number, decoded: Clip | None = None
) -> tuple[Clip, _Plan]:
    clip = read_clip(record.path) if decoded is None else decoded
    draw, repeat = number
    if draw is None or config.augment is None or record.split not in config.augment_splits:
        return clip, _Plan(window_indices(len(clip), config.window), ClipDraw(), config.window.available(len(clip)))
    rng = np.random.default_rng([config.seed, clip_number(record), draw, repeat])
    window = draw_window(config.window, config.augment, len(clip), rng)
    indices = window_indices(len(clip), window, rng)
    return clip, _Plan(indices, draw_clip(config.augment, rng), window.available(len(clip)))


def clip_number(record: ClipRecord) -> int:
    """What sets the draws of one clip apart from another's, wherever the data set lies on the disk."""
    return zlib.crc32(f"{record.path.parent.name}/{record.path.name}".encode())


def _rgb(clip: Clip, plan: _Plan, config: InputConfig) -> Clip:
    picked = _resized(clip[plan.indices], config.size)
    if plan.draw == ClipDraw():
        return picked
    from models.data.batches.augment import augment_clip  # noqa: PLC0415 - an extra that takes seconds

    return augment_clip(picked, plan.draw)


def _flow(clip: Clip, plan: _Plan, config: InputConfig) -> Flow:
    """Computed once for the clip as it lies on disk, resized to what the network gets: pixels mean its pixels."""
    resized = _resized(clip, config.size)
    if config.flow_folder is None:
        fields = flow_fields(resized, config.flow_method)
    else:
        fields = FlowCache(config.flow_folder, config.flow_method, config.flow_precision).fields(resized)
    picked = pick_fields(fields, plan.indices)
    if plan.draw == ClipDraw():
        return picked
    from models.data.batches.augment import augment_flow  # noqa: PLC0415 - as above

    return augment_flow(picked, plan.draw)


def _resized(clip: Clip, size: int) -> Clip:
    """uint8 (T, H, W, 3) → uint8 (T, size, size, 3)."""
    if clip.shape[1:3] == (size, size):
        return clip
    how = cv2.INTER_AREA if clip.shape[1] > size else cv2.INTER_LINEAR
    return np.stack([cv2.resize(picture, (size, size), interpolation=how) for picture in clip])


def _load(
    record: ClipRecord, config: InputConfig, number: Number, broken: list[UnreadableFileError] | None
) -> tuple[NDArray[Any], ...]:
    try:
        clip, plan = _read_and_plan(record, config, number)
    except UnreadableFileError as error:
        if broken is not None:
            broken.append(error)
        raise
    if config.stream is Stream.BOTH:
        return _rgb(clip, plan, config), _flow(clip, plan, config)
    return (_rgb(clip, plan, config) if config.stream is Stream.RGB else _flow(clip, plan, config),)


def _kinds(config: InputConfig) -> list[tuple[str, tuple[int, ...], type[np.generic]]]:
    """→ name, shape of one clip and dtype of every array that ``_load`` returns."""
    cube = (config.window.length, config.size, config.size)
    kinds: dict[str, tuple[str, tuple[int, ...], type[np.generic]]] = {
        "rgb": ("rgb", (*cube, 3), np.uint8),
        "flow": ("flow", (*cube, 2), np.float32),
    }
    return list(kinds.values()) if config.stream is Stream.BOTH else [kinds[config.stream.value]]


def _check(records: Sequence[ClipRecord], targets: Sequence[int], config: InputConfig) -> None:
    if len(records) == 0 or len(records) != len(targets):
        raise DatasetError(f"expected as many targets as records and at least one, got {len(records)}, {len(targets)}")
    foreign = sorted({target for target in targets if not 0 <= target < config.num_classes})
    if foreign:
        raise DatasetError(f"targets must be 0 to {config.num_classes - 1}, got {foreign}")


def import_tensorflow() -> Any:
    """TensorFlow, kept off the GPU where Keras uses another backend: it would take the whole memory of it."""
    import keras  # noqa: PLC0415 - an evaluation that reads single clips needs neither
    import tensorflow as tf  # noqa: PLC0415 - as above

    if keras.config.backend() != "tensorflow":
        with suppress(RuntimeError):  # too late where somebody has used it already
            tf.config.set_visible_devices([], "GPU")
    return tf
