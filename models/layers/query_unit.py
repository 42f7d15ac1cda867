"""One head of the Video Action Transformer: a person's query asks the whole clip and is updated by the answer."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape

NORM_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="actoscope")
class QueryUnit(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """The "Tx unit" of Girdhar et al. 2019 (figure 3), after Vaswani et al. 2017.

    With q, K, V linear projections to ``units`` of the query, the memory and the memory:

        a  = softmax(q · Kᵀ / √units) · V
        q' = LayerNorm(q + Dropout(a))
        q" = LayerNorm(q' + Dropout(FFN(q')))          FFN: ``hidden`` nodes with ReLU, then ``units``

    Inputs: query float (N, Q), memory float (B, M, C) with B = N, or 1 when all queries ask the same clip: its keys and
    values are then computed once. Output: float (N, units). The softmax is taken in float32.
    """

    def __init__(self, units: int = 128, hidden: int = 512, dropout: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1 or hidden < 1:
            raise ValueError(f"units and hidden must be at least 1, got {units} and {hidden}")
        self.units = units
        self.hidden = hidden
        self.rate = dropout
        policy = self.dtype_policy
        self.query, self.key, self.value, self.narrow = (
            keras.layers.Dense(units, dtype=policy, name=name) for name in ("query", "key", "value", "narrow")
        )
        self.widen = keras.layers.Dense(hidden, activation="relu", dtype=policy, name="widen")
        self.norms = [
            keras.layers.LayerNormalization(epsilon=NORM_EPSILON, dtype=policy, name=f"norm_{number}")
            for number in range(2)
        ]
        self.drop = keras.layers.Dropout(dropout, dtype=policy, name="drop")

    def build(self, query_shape: Shape, memory_shape: Shape) -> None:
        self.query.build(query_shape)
        for projection in (self.key, self.value):
            projection.build(memory_shape)
        inner = (query_shape[0], self.units)
        for layer in (self.widen, *self.norms):
            layer.build(inner)
        self.narrow.build((query_shape[0], self.hidden))
        self.built = True

    def call(self, query: Any, memory: Any, training: bool | None = None) -> Any:
        query = self.query(query)
        x = self.norms[0](query + self.drop(self._answer(query, memory), training=training))
        return self.norms[1](x + self.drop(self.narrow(self.widen(x)), training=training))

    def _answer(self, query: Any, memory: Any) -> Any:
        """Projected query (N, units), memory (B, M, C) → what attention reads there (N, units)."""
        keys, values = self.key(memory), self.value(memory)  # (B, M, units)
        asked = keras.ops.expand_dims(query, 1) * self.units**-0.5
        match = keras.ops.matmul(asked, keras.ops.transpose(keys, (0, 2, 1)))  # (N, 1, M)
        attention = keras.ops.softmax(keras.ops.cast(match, "float32"), axis=-1)
        return keras.ops.squeeze(keras.ops.matmul(keras.ops.cast(attention, values.dtype), values), 1)

    def compute_output_shape(self, query_shape: Shape, memory_shape: Shape) -> Shape:
        return (query_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "hidden": self.hidden, "dropout": self.rate}
