from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.batches.augment_config import NO_AUGMENTATION, AugmentConfig
from models.data.batches.clip_window import WindowConfig, WindowMode
from models.data.batches.flow import flow_fields
from models.data.batches.input_pipeline import (
    InputConfig,
    Stream,
    batches,
    epoch_order,
    read_flow,
    read_input,
    repeat_numbers,
)
from models.data.clip_file import ClipFormat, write_clip
from models.data.manifest import ClipRecord, Split
from models.errors import DatasetError
from tests.models.data.footage import counting, record_of, sliding, street
from tests.support.places import REPOSITORY

SMALL = InputConfig(num_classes=3, window=WindowConfig(8), size=32, batch=2, workers=2)
AUGMENTED = replace(SMALL, augment=AugmentConfig())
BACKEND_SCRIPT = """
import sys
from pathlib import Path
from models.data.batches.clip_window import WindowConfig
from models.data.batches.input_pipeline import InputConfig, batches
from models.data.manifest import ClipRecord
import keras
config = InputConfig(num_classes=2, window=WindowConfig(8), size=32)
(clips, one_hot), = batches([ClipRecord(Path(sys.argv[1]), "a", "g")], [1], config).as_numpy_iterator()
tensor = keras.ops.mean(keras.ops.convert_to_tensor(clips))
print(keras.config.backend(), clips.shape, one_hot.tolist(), abs(float(tensor) - clips.mean()) < 1e-4)
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[ClipRecord]:
    """Five clips of 12 to 16 pictures of 32², clip i made of the grey value 40·i."""
    folder = tmp_path_factory.mktemp("data")
    clips = [np.full((12 + index, 32, 32, 3), 40 * index, np.uint8) for index in range(5)]
    return [record_of(folder, clip, f"clip{index}") for index, clip in enumerate(clips)]


def everything(dataset: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pairs = list(dataset.as_numpy_iterator())
    return np.concatenate([inputs for inputs, _ in pairs]), np.concatenate([targets for _, targets in pairs])


def clip_of(clip: NDArray[np.float32]) -> int:
    """Which of ``records`` a scaled clip is."""
    return round((float(clip.mean()) + 1) * 127.5 / 40)


def test_read_takes_the_window_and_resizes(tmp_path: Path) -> None:
    record = record_of(tmp_path, counting(20, 64), "a")
    clip = read_input(record, replace(SMALL, window=WindowConfig(8, WindowMode.LAST)))
    assert clip.shape == (8, 32, 32, 3) and clip.dtype == np.uint8
    assert clip[:, 0, 0, 0].tolist() == [4 * index for index in range(12, 20)]


def test_read_same_draw_same_pixels_and_another_draw_others(tmp_path: Path) -> None:
    record = record_of(tmp_path, street(), "a")
    first = read_input(record, AUGMENTED, 3)
    assert np.array_equal(first, read_input(record, AUGMENTED, 3))
    assert not np.array_equal(first, read_input(record, AUGMENTED, 4))
    assert not np.array_equal(first, read_input(record, AUGMENTED, 3, repeat=1))
    assert not np.array_equal(first, read_input(record, replace(AUGMENTED, seed=1), 3))


def test_read_two_clips_get_different_draws_wherever_they_lie(tmp_path: Path) -> None:
    one, other = (record_of(tmp_path, street(), name) for name in ("a", "b"))
    moved = record_of(tmp_path / "elsewhere", street(), "a")
    assert not np.array_equal(read_input(one, AUGMENTED, 0), read_input(other, AUGMENTED, 0))
    assert np.array_equal(read_input(one, AUGMENTED, 0), read_input(moved, AUGMENTED, 0))


def test_read_augments_only_the_splits_asked_for(tmp_path: Path) -> None:
    record = record_of(tmp_path, street(), "a", split=Split.VAL)
    plain = read_input(record, SMALL)
    assert np.array_equal(read_input(record, AUGMENTED, 0), plain)
    asked = replace(AUGMENTED, augment_splits=(Split.TRAIN, Split.VAL))
    assert not np.array_equal(read_input(record, asked, 0), plain)
    assert np.array_equal(read_input(record, asked, None), plain)


def test_read_jitters_in_time(tmp_path: Path) -> None:
    record = record_of(tmp_path, counting(40), "a")
    only_time = replace(SMALL, augment=replace(NO_AUGMENTATION, jitter=True))
    first = {int(read_input(record, only_time, draw)[0, 0, 0, 0]) // 4 for draw in range(30)}
    assert len(first) > 10 and min(first) < 8 and max(first) > 22


def test_read_unreadable_clip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(DatasetError, match=r"broken\.mp4"):
        read_input(ClipRecord(path, "a", "g"), SMALL)


def test_flow_has_the_window_and_geometry_of_the_pictures(tmp_path: Path) -> None:
    clip = sliding(20, 64, (2, 0))
    record = record_of(tmp_path, clip, "a")
    config = replace(SMALL, size=64, augment=AugmentConfig(flip=1.0, colour=0, blur=0, low_light=0, compression=0))
    fields = read_flow(record, config, 1)
    assert fields.shape == (8, 64, 64, 2) and fields.dtype == np.float32
    inside = np.s_[1:, 20:-20, 20:-20, 0]
    assert np.abs(fields[inside] - flow_fields(read_input(record, config, 1))[inside]).mean() * 20 < 0.5
    assert np.median(fields[inside]) * 20 < -1


def test_flow_is_cached_once_for_all_draws(tmp_path: Path) -> None:
    record = record_of(tmp_path, street(), "a")
    config = replace(AUGMENTED, flow_folder=tmp_path / "flow")
    made = [read_flow(record, config, draw) for draw in range(3)]
    assert len(list((tmp_path / "flow").rglob("*.npy"))) == 1
    assert not np.array_equal(made[0], made[1])
    assert np.array_equal(made[2], read_flow(record, config, 2))


def test_batches_rgb_scaled_with_one_hot_in_the_order_given(records: list[ClipRecord]) -> None:
    pairs = list(batches(records, [0, 1, 2, 0, 1], SMALL).as_numpy_iterator())
    assert [inputs.shape for inputs, _ in pairs] == [(2, 8, 32, 32, 3), (2, 8, 32, 32, 3), (1, 8, 32, 32, 3)]
    inputs, targets = everything(batches(records, [0, 1, 2, 0, 1], SMALL))
    assert inputs.dtype == targets.dtype == np.float32
    assert np.array_equal(targets, np.eye(3)[[0, 1, 2, 0, 1]])
    assert inputs[0].max() == -1.0
    assert inputs[1, 0, 0, 0].tolist() == pytest.approx([40 / 127.5 - 1] * 3)
    assert read_input(records[4], SMALL).astype(np.float32) / 127.5 - 1 == pytest.approx(inputs[4], abs=1e-6)


def test_batches_shuffle_keeps_targets_with_their_clips(records: list[ClipRecord]) -> None:
    config = replace(SMALL, num_classes=5, shuffle=True)
    inputs, targets = everything(batches(records, range(5), config, epoch=2))
    shown = [clip_of(clip) for clip in inputs]
    assert targets.argmax(axis=1).tolist() == shown == epoch_order(5, config.seed, 2).tolist()
    assert sorted(shown) == list(range(5))


def test_batches_resumed_at_an_epoch_are_those_of_an_unbroken_run(tmp_path: Path) -> None:
    data = [record_of(tmp_path, street(16), name) for name in "abcd"]
    config = replace(AUGMENTED, shuffle=True)
    unbroken = [everything(batches(data, [0, 1, 2, 0], config, epoch)) for epoch in range(3)]
    inputs, targets = everything(batches(data, [0, 1, 2, 0], config, epoch=2))
    assert np.array_equal(inputs, unbroken[2][0]) and np.array_equal(targets, unbroken[2][1])
    assert not np.array_equal(inputs, unbroken[1][0])


def test_epoch_order_differs_by_epoch_and_seed() -> None:
    orders = [epoch_order(50, seed, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert epoch_order(4, None, 7).tolist() == [0, 1, 2, 3]


def test_batches_repeated_rows_get_draws_of_their_own(tmp_path: Path) -> None:
    record = record_of(tmp_path, street(16), "a")
    assert repeat_numbers([record, replace(record, path=tmp_path), record]) == [0, 0, 1]
    inputs, _ = everything(batches([record, record], [0, 0], AUGMENTED))
    assert not np.array_equal(inputs[0], inputs[1])


def test_batches_flow_and_both(tmp_path: Path) -> None:
    data = [record_of(tmp_path, sliding(12, 32, (2, 0), seed), name) for seed, name in enumerate("ab")]
    config = replace(SMALL, stream=Stream.FLOW, flow_folder=tmp_path / "flow")
    ((flow, _),) = batches(data, [0, 1], config).as_numpy_iterator()
    assert flow.shape == (2, 8, 32, 32, 2) and flow.dtype == np.float32
    assert np.median(flow[..., 0]) * 20 == pytest.approx(2, abs=0.3)
    ((both, targets),) = batches(data, [0, 1], replace(config, stream=Stream.BOTH)).as_numpy_iterator()
    assert np.array_equal(both["flow"], flow)
    assert both["rgb"].shape == (2, 8, 32, 32, 3) and both["rgb"].min() >= -1 and both["rgb"].max() <= 1
    assert np.array_equal(targets, np.eye(3)[:2])


def test_batches_decode_no_further_ahead_than_needed(tmp_path: Path) -> None:
    """Clips that would be decoded later do not exist: the first batch comes all the same."""
    good = [record_of(tmp_path, counting(8), f"good{index}") for index in range(8)]
    missing = [replace(good[0], path=tmp_path / f"missing{index}.mkv") for index in range(60)]
    dataset = batches([*good, *missing], [0] * 68, replace(SMALL, batch=1))
    first, _ = next(iter(dataset.as_numpy_iterator()))
    assert first.shape == (1, 8, 32, 32, 3)


def test_batches_unreadable_clip_ends_them_with_its_name(tmp_path: Path, records: list[ClipRecord]) -> None:
    import tensorflow as tf

    missing = replace(records[0], path=tmp_path / "gone.mkv")
    with pytest.raises(tf.errors.OpError, match=r"gone\.mkv"):
        everything(batches([records[0], missing], [0, 0], SMALL))


def test_batches_read_every_clip_format(tmp_path: Path) -> None:
    for form, name in ((ClipFormat.H264, "a.mp4"), (ClipFormat.FFV1, "a.mkv"), (ClipFormat.JPEG, "a")):
        write_clip(tmp_path / name, street(10), 25.0, form)
    data = [ClipRecord(tmp_path / name, "x", "g") for name in ("a.mp4", "a.mkv", "a")]
    inputs, _ = everything(batches(data, [0, 0, 0], SMALL))
    assert np.abs(inputs[0] - inputs[1]).mean() < 0.1 and np.abs(inputs[2] - inputs[1]).mean() < 0.1


def test_batches_targets_that_do_not_fit_are_refused(records: list[ClipRecord]) -> None:
    with pytest.raises(DatasetError, match="0 to 2, got"):
        batches(records, [0, 1, 2, 3, -1], SMALL)
    with pytest.raises(DatasetError, match="as many targets"):
        batches(records, [0], SMALL)
    with pytest.raises(DatasetError, match="at least one"):
        batches([], [], SMALL)


def test_config_lists_everything_that_is_wrong() -> None:
    with pytest.raises(DatasetError, match=r"num_classes >= 1, got 0; size >= 16, got 4; batch >= 1, got 0"):
        InputConfig(num_classes=0, size=4, batch=0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_batches_serve_other_backends(records: list[ClipRecord], backend: str) -> None:
    pytest.importorskip(backend)
    root = str(REPOSITORY)
    environment = {"PATH": "/usr/bin:/bin", "KERAS_BACKEND": backend, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", BACKEND_SCRIPT, str(records[2].path)]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{backend} (1, 8, 32, 32, 3) [[0.0, 1.0]] True"
