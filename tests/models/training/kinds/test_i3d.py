from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.errors import TrainingError
from models.networks.i3d import HIDDEN_CONV, LOGITS_CONV, I3DConfig, build_i3d
from models.training.config import BatchNorm, Mode, NetworkConfig, TrainConfig, TransferConfig, Unfreeze
from models.training.kinds.i3d import I3D, build_stream, endpoint_order, front, head, set_trainable
from models.training.run.loop import config_key
from models.training.run.networks import join_streams
from models.weights.start import STEM_KERNEL, Start, read_start
from tests.models.conftest import TINY_LABELS, randomise

SIZE = 32
DEPTHS = ("Mixed_4c", "Mixed_4f", "Mixed_5c")


@pytest.fixture(scope="module")
def start(tiny_folder: Path) -> Start:
    return read_start(tiny_folder)


def by_path(model: Any) -> dict[str, np.ndarray]:
    return {w.path: keras.ops.convert_to_numpy(w) for w in model.weights if "seed" not in w.path}


def test_build_stream_takes_over_everything_but_an_output_of_other_classes(start: Start) -> None:
    found = by_path(build_stream(NetworkConfig(hidden=6), Mode.RGB, ("a", "b"), SIZE, start))
    for path, value in found.items():
        if path.split("/")[0] in {LOGITS_CONV, HIDDEN_CONV}:
            continue
        np.testing.assert_array_equal(value, start.weights[path], err_msg=path)
    assert found[f"{LOGITS_CONV}/kernel"].shape == (1, 1, 1, 6, 2)
    assert found[f"{HIDDEN_CONV}/kernel"].shape == (1, 1, 1, 1024, 6)


def test_build_stream_for_the_same_classes_keeps_the_output(start: Start) -> None:
    found = by_path(build_stream(NetworkConfig(), Mode.RGB, TINY_LABELS, SIZE, start))
    np.testing.assert_array_equal(found[f"{LOGITS_CONV}/kernel"], start.weights[f"{LOGITS_CONV}/kernel"])


def test_build_stream_for_flow_averages_the_stem_over_colour(start: Start) -> None:
    found = by_path(build_stream(NetworkConfig(), Mode.FLOW, ("a", "b"), SIZE, start))[STEM_KERNEL]
    assert found.shape == (7, 7, 7, 2, 64)
    mean = start.weights[STEM_KERNEL].mean(axis=3)
    np.testing.assert_allclose(found[..., 0, :], mean, rtol=1e-6)
    np.testing.assert_array_equal(found[..., 0, :], found[..., 1, :])


def test_gates_of_another_kind_stay_the_identity(start: Start) -> None:
    """Open gates over channels do not fit gates over channels and time: none of their weights may be taken over."""
    assert np.any(start.weights["Mixed_3b_se/expand/kernel"])
    found = by_path(build_stream(NetworkConfig(kind="se_i3d_time"), Mode.RGB, TINY_LABELS, SIZE, start))
    assert not np.any(found["Mixed_3b_se/expand/kernel"])
    kernel = "Mixed_3b/branch_0_0a_1x1/conv/kernel"
    np.testing.assert_array_equal(found[kernel], start.weights[kernel])


@pytest.mark.parametrize(
    ("endpoint", "depths", "rank"),
    [
        ("MaxPool3d_5a_2x2", (), 5),
        ("Mixed_4b", (), 5),
        ("Mixed_4b", DEPTHS, 5),  # in front of all depths
        ("Mixed_4c", DEPTHS, 5),
        ("MaxPool3d_5a_2x2", DEPTHS, 2),  # two of them pass by
        ("AvgPool3d", DEPTHS, 5),
    ],
)
def test_front_and_head_together_are_the_network(endpoint: str, depths: tuple[str, ...], rank: int) -> None:
    model = build_i3d(I3DConfig(3, size_hw=(SIZE, SIZE), hidden=5, depths=depths, head_norm=bool(depths)))
    randomise(model)
    clip = np.random.default_rng(0).uniform(-1, 1, (2, 16, SIZE, SIZE, 3)).astype(np.float32)
    features = front(model, endpoint)(clip, training=False)
    assert len(features.shape) == rank
    logits = head(model, endpoint, tuple(features.shape[1:]))(features, training=False)
    expected = keras.ops.convert_to_numpy(model(clip, training=False))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(keras.ops.convert_to_numpy(logits), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("train_from", "expected"),
    [
        ("new", {"gates", "output"}),
        ("Mixed_5b", {"gates of 5b and 5c", "Mixed_5b", "Mixed_5c", "output"}),
        ("all", {"gates", "stem", "Mixed_5b", "Mixed_5c", "output"}),
    ],
)
def test_set_trainable_frees_what_is_named(train_from: str, expected: set[str]) -> None:
    model = build_i3d(I3DConfig(3, size_hw=(SIZE, SIZE)))
    set_trainable(model, train_from, BatchNorm.FROZEN)
    learning = {w.path.split("/")[0] for w in model.trainable_variables}
    gates = {name for name in learning if name.endswith("_se")}
    found = {name for name in ("Mixed_5b", "Mixed_5c") if name in learning}
    found |= {"stem"} if "Conv3d_1a_7x7" in learning else set()
    found |= {"output"} if LOGITS_CONV in learning else set()
    found |= (
        {"gates of 5b and 5c"} if gates == {"Mixed_5b_se", "Mixed_5c_se"} else {"gates"} if len(gates) == 9 else set()
    )
    assert found == expected
    assert not any("/norm/" in w.path for w in model.trainable_variables)
    set_trainable(model, train_from, BatchNorm.TRAINED)
    assert any("Mixed_5b" in w.path and "/norm/" in w.path for w in model.trainable_variables) == (train_from != "new")


def test_endpoint_order_refuses_an_unknown_name() -> None:
    assert endpoint_order("all") < endpoint_order("Mixed_3b") < endpoint_order("Mixed_5c") < endpoint_order("new")
    with pytest.raises(TrainingError, match="Mixed_9z"):
        endpoint_order("Mixed_9z")


def test_join_streams_of_none_is_refused() -> None:
    with pytest.raises(TrainingError, match="at least one stream"):
        join_streams({})


def test_light_i3d_is_not_cut_or_trained_behind_its_end() -> None:
    late = TransferConfig(cache_at="Mixed_4c", unfreeze=(Unfreeze(0, "Mixed_5b"),))
    light = TrainConfig("t", network=NetworkConfig(kind="i3d_light"), transfer=late)
    assert list(I3D(light).problems(Path())) == ["transfer: i3d_light ends with Mixed_4c and has no Mixed_5b"]
    pooled = TransferConfig(cache_at="AvgPool3d", unfreeze=(Unfreeze(0, "new"),))
    assert not list(I3D(replace(light, transfer=pooled)).problems(Path()))


def test_network_of_several_depths_keeps_features_of_its_own_and_says_which_it_cannot_read(start: Start) -> None:
    """Its weights are those of the plain one, what is kept is not."""
    plain = TrainConfig("t", transfer=TransferConfig(cache_at="AvgPool3d", unfreeze=(Unfreeze(0, "new"),)))
    deep = replace(plain, network=NetworkConfig(depths=DEPTHS))
    names, widths = [], []
    for config in (plain, deep, replace(plain, network=NetworkConfig(depths=DEPTHS[1:]))):
        model = I3D(config).build(Mode.RGB, ("a", "b"), start)
        part = I3D(config).front(Mode.RGB, model)
        names.append(part.name)
        widths.append(part.model.output_shape[-1])
    assert len(set(names)) == 3 and widths == [1024, 2368, 1856]
    wrong = replace(plain, network=NetworkConfig(depths=("Mixed_9z",)))
    assert ["Mixed_9z" in problem for problem in I3D(wrong).problems(Path())] == [True]
    assert config_key(plain, "") != config_key(deep, "")
