from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.data.batches.input_pipeline import InputConfig, read_flow, read_input
from models.data.manifest import Dataset
from models.errors import DatasetError
from models.layers import GateAxes
from models.networks.i3d import I3DConfig, build_i3d
from models.training.config import Mode
from models.training.data import input_config
from models.training.feature_cache import FeatureSet
from models.training.kinds.i3d import cached_features, front
from tests.models.conftest import randomise
from tests.models.training_runs import FRAMES, SIZE, make_dataset, tiny

ENDPOINT = "MaxPool3d_3a_3x3"
CONFIG = input_config(tiny(), 2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("cache") / "data", clips=3)


def network(gate: GateAxes | None = None, channels: int = 3, seed: int = 3) -> Any:
    model = build_i3d(I3DConfig(2, size_hw=(SIZE, SIZE), gate=gate, channels=channels))
    if gate is None:
        randomise(model, seed)
    return model


class Counter:
    """How many features were asked for."""

    computed = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        self.computed = total


def compute(
    model: Any, dataset: Dataset, root: Path, config: InputConfig = CONFIG, draws: int = 2
) -> tuple[FeatureSet, int]:
    counter = Counter()
    wanted = [(dataset.records[0], draws), (dataset.records[1], 1)]
    return cached_features(model, Mode.RGB, ENDPOINT, wanted, config, root, counter), counter.computed


def test_cached_features_are_those_of_the_network(dataset: Dataset, tmp_path: Path) -> None:
    model = network()
    features, computed = compute(model, dataset, tmp_path)
    assert (features.shape, computed) == ((FRAMES // 2, SIZE // 8, SIZE // 8, 192), 3)
    drawn: tuple[list[int | None], ...] = ([None, 1], [None])
    for record, row, draws in zip(dataset.records, features.files, drawn, strict=False):
        for draw, file in zip(draws, row, strict=True):
            clip = read_input(record, CONFIG, draw).astype(np.float32)[None] / 127.5 - 1
            expected = keras.ops.convert_to_numpy(front(model, ENDPOINT)(clip, training=False))[0]
            found = np.load(file)
            assert found.dtype == np.float16
            np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())  # bf16 has 8 bits


def test_cached_features_go_on_where_they_were_interrupted(dataset: Dataset, tmp_path: Path) -> None:
    model = network()
    features, _ = compute(model, dataset, tmp_path)
    lost = features.files[0][1]
    before = {file: file.stat().st_mtime_ns for row in features.files for file in row if file != lost}
    lost.rename(lost.with_name(f".{lost.name}.part"))  # what a kill in the middle of writing leaves
    again, computed = compute(model, dataset, tmp_path)
    assert (again, computed) == (features, 1)
    assert before == {file: file.stat().st_mtime_ns for file in before}
    assert lost.is_file()


def test_cached_features_follow_weights_clip_and_augmentation(dataset: Dataset, tmp_path: Path) -> None:
    model = network()
    first, _ = compute(model, dataset, tmp_path)
    assert compute(network(seed=4), dataset, tmp_path)[1] == 3  # other weights
    assert compute(model, dataset, tmp_path, replace(CONFIG, seed=9))[1] == 1  # other draws; plain clips are shared
    assert compute(model, dataset, tmp_path, draws=4)[1] == 2  # more draws
    other = dataset.records[1]
    content = other.path.read_bytes()
    other.path.write_bytes(dataset.records[2].path.read_bytes())
    try:
        assert compute(model, dataset, tmp_path)[1] == 1  # another clip of that name
    finally:
        other.path.write_bytes(content)
    assert compute(model, dataset, tmp_path) == (first, 0)


@pytest.mark.exhaustive
def test_networks_with_untrained_gates_share_features_with_plain_ones(dataset: Dataset, tmp_path: Path) -> None:
    plain = network()
    gated = network(GateAxes.CHANNEL)
    weights = {weight.path: weight for weight in plain.weights}
    for weight in gated.weights:
        if weight.path in weights:
            weight.assign(weights[weight.path])
    compute(plain, dataset, tmp_path)
    endpoint = "Mixed_3b"
    wanted = [(dataset.records[0], 1)]
    counter = Counter()
    cached_features(plain, Mode.RGB, endpoint, wanted, CONFIG, tmp_path, counter)
    assert counter.computed == 1
    counter = Counter()
    cached_features(gated, Mode.RGB, endpoint, wanted, CONFIG, tmp_path, counter)
    assert counter.computed == 0
    gated.get_layer("Mixed_3b_se").expand.bias.assign(np.ones(256, np.float32))
    cached_features(gated, Mode.RGB, endpoint, wanted, CONFIG, tmp_path, counter)
    assert counter.computed == 1


def test_cached_features_of_flow_are_those_of_its_stream(dataset: Dataset, tmp_path: Path) -> None:
    model = network(channels=2)
    wanted = [(dataset.records[0], 2)]
    features = cached_features(model, Mode.FLOW, ENDPOINT, wanted, CONFIG, tmp_path, Counter())
    clip = read_flow(dataset.records[0], CONFIG, 1)[None]
    expected = keras.ops.convert_to_numpy(front(model, ENDPOINT)(clip, training=False))[0]
    np.testing.assert_allclose(np.load(features.files[0][1]), expected, atol=0.02 * np.abs(expected).max())


def test_cached_features_of_a_damaged_clip_name_it(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", clips=2)
    data.records[0].path.write_bytes(b"no video")
    with pytest.raises(DatasetError, match=data.records[0].path.name):
        compute(network(), data, tmp_path / "features")
