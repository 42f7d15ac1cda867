"""Multiply-adds against numbers worked out by hand, and against those the papers of known networks give."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from models.layers import FoldTime, Inception3D, SqueezeExcite3D, Unit3D
from models.networks.complexity import Complexity, complexity, count_multiply_adds
from models.networks.registry import build

layers = keras.layers


def cost(shape: tuple[int, ...], *chain: Any) -> int:
    """→ multiply-adds of layers one after another."""
    tensor = inputs = keras.Input(shape)
    for layer in chain:
        tensor = layer(tensor)
    return count_multiply_adds(keras.Model(inputs, tensor))


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        ((8, 10, 10, 3), layers.Conv3D(16, (3, 5, 5), (2, 2, 2), "same"), (4 * 5 * 5 * 16) * (3 * 5 * 5 * 3)),
        ((8, 10, 10, 3), layers.Conv3D(16, 3, padding="valid"), (6 * 8 * 8 * 16) * (27 * 3)),
        ((10, 10, 8), layers.Conv2D(16, 3, padding="same", groups=4), (10 * 10 * 16) * (9 * 2)),
        ((10, 10, 8), layers.DepthwiseConv2D(3, 2, "same"), (5 * 5 * 8) * 9),
        ((10, 10, 8), layers.SeparableConv2D(16, 3, padding="same"), 100 * (9 * 8 + 8 * 16)),
        ((5, 5, 8), layers.Conv2DTranspose(4, 2, 2), (5 * 5) * (2 * 2 * 4 * 8)),
        ((7, 12), layers.Dense(5), 7 * 12 * 5),
        ((7, 12), layers.EinsumDense("abc,cde->abde", (None, 3, 4)), 7 * 12 * 3 * 4),
        ((9, 6), layers.GRU(4), 9 * (6 * 12 + 4 * 12)),
        ((9, 6), layers.Bidirectional(layers.LSTM(4)), 2 * 9 * (6 * 16 + 4 * 16)),
        ((9, 4, 4, 3), layers.TimeDistributed(layers.Conv2D(2, 3, padding="same")), 9 * (16 * 2) * (9 * 3)),
        ((9, 6), layers.BatchNormalization(), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_layers_cost_what_the_hand_counts(shape: tuple[int, ...], layer: Any, expected: int) -> None:
    assert cost(shape, layer) == expected


def test_layers_of_ours_are_looked_into() -> None:
    assert cost((4, 6, 6, 3), Unit3D(8, (3, 3, 3), (1, 2, 2))) == (4 * 3 * 3 * 8) * (27 * 3)
    places, branches = 4 * 6 * 6, 3 * 2 + (3 * 4 + 27 * 4 * 5) + (3 * 6 + 27 * 6 * 7) + 3 * 8
    assert cost((4, 6, 6, 3), Inception3D((2, 4, 5, 6, 7, 8))) == places * branches
    assert cost((4, 6, 6, 32), SqueezeExcite3D(16, "channel")) == 32 * 2 + 2 * 32
    assert cost((4, 6, 6, 32), SqueezeExcite3D(16, "channel_time")) == 4 * (3 * 32 * 2 + 2 * 32)


def test_attention_costs_its_projections_and_its_two_products() -> None:
    query, memory = keras.Input((3, 8)), keras.Input((5, 6))
    output = layers.MultiHeadAttention(2, 4, value_dim=7)(query, memory)
    projections = 3 * 8 * (2 * 4) + 5 * 6 * (2 * 4) + 5 * 6 * (2 * 7) + 3 * (2 * 7) * 8
    assert count_multiply_adds(keras.Model([query, memory], output)) == projections + 2 * 3 * 5 * (4 + 7)


class Products(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """(B, T, C) → (B, T, C): every kind of product that ``keras.ops`` has, written out in a layer."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(3, input_shape[-1], input_shape[-1]))

    def call(self, inputs: Any) -> Any:
        scores = keras.ops.matmul(inputs, keras.ops.transpose(inputs, (0, 2, 1)))  # (B, T, T)
        mixed = keras.ops.einsum("bts,bsc->btc", scores, inputs)
        mixed = keras.ops.conv(mixed, self.kernel, padding="same")
        heads = keras.ops.reshape(mixed, (-1, 5, 2, 4))
        return keras.ops.reshape(keras.ops.dot_product_attention(heads, heads, heads), (-1, 5, 8))


class Shifts(keras.layers.Layer):  # type: ignore[misc]
    """A convolution made of shifts and sums, which says itself what it multiplies."""

    def call(self, inputs: Any) -> Any:
        return inputs + keras.ops.roll(inputs, 1, axis=1)

    def multiply_adds(self, input_shape: tuple[int, ...]) -> int:
        return 100 * input_shape[1]


def test_functions_of_keras_ops_are_counted() -> None:
    assert cost((5, 8), Products()) == 5 * 5 * 8 + 5 * 5 * 8 + 5 * 3 * 8 * 8 + 2 * (2 * 5 * 5 * 4)


def test_layer_that_counts_itself_is_asked() -> None:
    assert cost((5, 8), Shifts(), layers.Dense(2)) == 500 + 5 * 8 * 2


def test_shared_and_nested_networks_count_each_call() -> None:
    inner_input = keras.Input((4,))
    inner = keras.Model(inner_input, layers.Dense(3)(inner_input), name="inner")
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    model = keras.Model({"first": first, "second": second}, layers.Add()([inner(first), inner(second)]))
    assert complexity(model) == Complexity(parameters=4 * 3 + 3, multiply_adds=2 * 4 * 3)


def test_counting_leaves_the_network_as_it_was() -> None:
    model = build("se_i3d", 3, (9, 32, 32, 3))
    config = model.get_config()
    first = count_multiply_adds(model, (9, 32, 32, 3))
    assert first == count_multiply_adds(model, (9, 32, 32, 3)) > 0
    assert count_multiply_adds(model, (18, 32, 32, 3)) > 1.5 * first
    assert model.get_config() == config
    assert all("compute_output_spec" not in vars(layer) for layer in model._flatten_layers())


def test_i3d_costs_what_the_papers_say() -> None:
    """12.7 M parameters (Carreira & Zisserman); 108 G at 64×224² (table 2 of the SlowFast paper) is met within 3 %."""
    cost = complexity(build("i3d", 400), (64, 224, 224, 3))
    assert cost == Complexity(parameters=12_704_544, multiply_adds=111_153_143_808)
    assert cost.gmacs == pytest.approx(108, rel=0.03)


def test_backbone_of_keras_applications_costs_what_its_paper_says() -> None:
    cost = complexity(keras.applications.MobileNetV2(weights=None))
    assert cost.parameters == 3_538_984
    assert cost.gmacs == pytest.approx(0.300, rel=0.01)  # Sandler et al. 2018, table 4


def test_network_of_open_length_wants_a_shape() -> None:
    model = build("i3d", 3, (9, 32, 32, 3))
    with pytest.raises(ValueError, match="expected 1 input shapes without the batch axis"):
        count_multiply_adds(model)
    with pytest.raises(ValueError, match="got "):
        count_multiply_adds(model, (9, 32, 32, 3), (4,))


def test_frames_folded_into_the_batch_count_each() -> None:
    clip = keras.Input((4, 8, 8, 3))
    frames = FoldTime()(clip)
    model = keras.Model(clip, keras.layers.Conv2D(5, 3, padding="same")(frames))
    assert count_multiply_adds(model) == 4 * 8 * 8 * 5 * 3 * 9
