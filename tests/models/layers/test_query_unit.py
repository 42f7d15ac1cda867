from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.layers import QueryUnit

RNG = np.random.default_rng(5)
QUERY, MEMORY = (RNG.normal(size=shape).astype(np.float32) for shape in ((3, 6), (3, 10, 5)))


def as_array(tensor: object) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def made() -> QueryUnit:
    layer = QueryUnit(4, 8)
    layer.build(QUERY.shape, MEMORY.shape)
    for weight in layer.weights:
        if "seed" not in weight.path:
            weight.assign(RNG.normal(size=tuple(weight.shape)))
    return layer


def normalised(x: NDArray[np.float32], gamma: object, beta: object) -> NDArray[np.float32]:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return scaled * as_array(gamma) + as_array(beta)


def test_query_unit_computes_the_papers_formula() -> None:
    layer = made()
    assert layer.compute_output_shape(QUERY.shape, MEMORY.shape) == (3, 4)

    def dense(x: NDArray[np.float32], part: Any) -> NDArray[np.float32]:
        return x @ as_array(part.kernel) + as_array(part.bias)  # a Dense

    query, keys, values = dense(QUERY, layer.query), dense(MEMORY, layer.key), dense(MEMORY, layer.value)
    match = np.einsum("nd,nmd->nm", query, keys) / 2.0
    attention = np.exp(match) / np.exp(match).sum(-1, keepdims=True)
    norms = [(norm.gamma, norm.beta) for norm in layer.norms]
    x = normalised(query + np.einsum("nm,nmd->nd", attention, values), *norms[0])
    expected = normalised(x + dense(np.maximum(dense(x, layer.widen), 0), layer.narrow), *norms[1])
    np.testing.assert_allclose(as_array(layer(QUERY, MEMORY)), expected, rtol=1e-4, atol=1e-4)


def test_query_unit_lets_several_queries_ask_one_memory() -> None:
    layer = made()
    together = as_array(layer(QUERY, MEMORY[:1]))
    apart = as_array(layer(QUERY, np.repeat(MEMORY[:1], 3, axis=0)))
    np.testing.assert_allclose(together, apart, rtol=1e-5, atol=1e-5)


def test_query_unit_is_saved_with_its_options() -> None:
    layer = made()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert (again.units, again.hidden, again.rate) == (4, 8, 0.3)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(as_array(again(QUERY, MEMORY)), as_array(layer(QUERY, MEMORY)), rtol=1e-6)
    half = QueryUnit.from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    assert keras.backend.standardize_dtype(half(QUERY, MEMORY).dtype) == "bfloat16"
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}


def test_query_unit_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 512"):
        QueryUnit(0)
