from __future__ import annotations

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import TrainingError
from models.networks.i3d import I3DConfig, build_i3d
from models.weights.half_weights import halve
from tests.models.conftest import randomise


def small() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(300, name="wide"), keras.layers.Dense(2)])
    model.layers[0].bias.assign(np.full(300, 1e6, np.float32))  # beyond float16; vectors stay float32
    return model


@pytest.mark.exhaustive
def test_halved_network_loads_as_before_and_rounds_kernels_only(tmp_path: Path) -> None:
    model = build_i3d(I3DConfig(3, size_hw=(32, 32)))
    randomise(model)
    path = tmp_path / "model.keras"
    model.save(path)
    whole = path.stat().st_size
    halve(path)
    assert path.stat().st_size < 0.52 * whole
    assert path.stat().st_size < 30e6  # what a weights folder may weigh
    again = keras.saving.load_model(path, compile=False)
    assert {weight.dtype for weight in again.weights if "seed" not in weight.path} == {"float32"}
    for new, old in zip(again.get_weights(), model.get_weights(), strict=True):
        expected = old.astype(np.float16).astype(old.dtype) if old.ndim > 1 else old
        np.testing.assert_array_equal(new, expected)


def test_halved_vectors_keep_their_range(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    small().save(path)
    halve(path)
    assert keras.saving.load_model(path).layers[0].get_weights()[1].max() == 1e6


def test_kernel_beyond_half_precision_is_refused_and_the_file_kept(tmp_path: Path) -> None:
    model = small()
    model.layers[0].kernel.assign(np.full((4, 300), 1e5, np.float32))
    path = tmp_path / "model.keras"
    model.save(path)
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="float16 cannot"):
        halve(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_text("no zip")
    with pytest.raises(TrainingError, match="cannot be rewritten"):
        halve(path)
    assert not zipfile.is_zipfile(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]
