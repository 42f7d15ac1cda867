from __future__ import annotations

import keras
import numpy as np
import pytest

from models.networks import registry
from models.networks.complexity import complexity
from models.networks.movinet import ENDPOINTS, gate_units
from tests.models.check_network import OverfitPlan, check_network
from tests.models.networks_by_hand import movinet_a0

TINY = (4, 32, 32, 3)


def test_movinet_has_the_published_size_at_600_classes() -> None:
    model = registry.build("movinet_a0_stream", 600)
    cost = complexity(model)
    assert cost.parameters == movinet_a0(600) == 3_093_784  # published: 3.1 M
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == movinet_a0(600, norm=2) == 3_075_832
    # The published 2.7 GFLOPs are of kernels that are not split into space and time: 0.25 more.
    assert cost.gmacs == pytest.approx(2.393, abs=0.001)
    assert [model.get_layer(name).name for name in ENDPOINTS] == list(ENDPOINTS)
    assert model.get_layer("conv7").output.shape[1:] == (50, 6, 6, 480)


def test_movinet_with_own_frame_gates_has_the_parameters_of_the_formula() -> None:
    model = registry.build("movinet_a0_stream", 5, TINY, own_frame=True)
    weights = [weight for weight in model.weights if "seed_generator" not in weight.path]
    assert sum(int(np.prod(weight.shape)) for weight in weights) == movinet_a0(5, own_frame=True)


@pytest.mark.exhaustive
def test_movinet_passes_the_network_check() -> None:
    check_network(
        lambda: registry.build("movinet_a0_stream", 4, TINY, dropout=0.0, drop=0.0),
        clip_shape=TINY,
        num_classes=4,
        parameters=movinet_a0(4),
        overfit=OverfitPlan(steps=12, learning_rate=1e-3, look_every=2, eager=True),
    )


def test_movinet_drops_whole_blocks_in_training_only() -> None:
    model = registry.build("movinet_a0_stream", 4, TINY, drop=0.5)
    rates = [layer.drop for layer in model.layers if hasattr(layer, "drop")]
    np.testing.assert_allclose(rates, np.arange(1, 16) / 30)
    block = model.get_layer("block6_4")
    x = np.random.default_rng(1).normal(size=(16, 2, 1, 1, 104)).astype(np.float32)
    added = keras.ops.convert_to_numpy(block(x, training=True)) - x
    dropped = np.array([not clip.any() for clip in added])
    assert 0 < dropped.sum() < 16
    assert (keras.ops.convert_to_numpy(block(x, training=False)) - x).any((1, 2, 3, 4)).all()


@pytest.mark.parametrize(("inputs", "units"), [(24, 8), (80, 24), (184, 48), (112, 32), (280, 72), (344, 88)])
def test_movinet_gates_have_a_quarter_of_what_they_read(inputs: int, units: int) -> None:
    assert gate_units(inputs) == units


def test_movinet_with_impossible_options_is_refused() -> None:
    with pytest.raises(ValueError, match="clip of at least 1, got 0 and"):
        registry.build("movinet_a0_stream", 0, TINY)
    with pytest.raises(ValueError, match=r"must be in 0..1, got 0.2 and 1"):
        registry.build("movinet_a0_stream", 4, TINY, drop=1)
