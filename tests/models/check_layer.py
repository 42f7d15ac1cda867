"""One check for every Keras layer of ours."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

RNG = np.random.default_rng(7)


def check_layer(layer: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...], weight_count: int) -> Any:
    """Shape, dtype, weight count and serialisation round trip of ``layer`` on float32 input of ``input_shape``.

    → the layer's output for random input. ``weight_count`` counts arrays, trainable or not.
    """
    x = RNG.normal(size=input_shape).astype(np.float32)
    y = keras.ops.convert_to_numpy(layer(x))
    assert y.shape == output_shape
    assert tuple(layer.compute_output_shape(input_shape)) == output_shape
    assert y.dtype == np.float32
    assert len(layer.weights) == weight_count
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert again.built  # the saved build shape is part of the round trip
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(keras.ops.convert_to_numpy(again(x)), y, rtol=1e-5, atol=1e-5)
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    assert keras.backend.standardize_dtype(half(x).dtype) == "bfloat16"
    assert all(weight.dtype == "float32" for weight in half.weights)
    return y
