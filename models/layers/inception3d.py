"""The inflated Inception block ("Mixed_…" in I3D's table)."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.unit3d import Shape, Unit3D


@keras.saving.register_keras_serializable(package="actoscope")
class Inception3D(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Four parallel branches joined along channels (Carreira & Zisserman 2017, figure 3).

    ``filters`` in the published order: branch 0 (1×1×1); branch 1 (1×1×1, 3×3×3); branch 2 (1×1×1, 3×3×3);
    branch 3 (3×3×3 max pool, 1×1×1). ``ranks``: of the 3×3×3 units of branches 1 and 2 (``Unit3D``), 0: whole kernels.

    Input: float (B, T, H, W, C). Output: float (B, T, H, W, f0 + f2 + f4 + f5).
    """

    def __init__(self, filters: tuple[int, ...], ranks: tuple[int, int] = (0, 0), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(filters) != 6:
            raise ValueError(f"filters must be six numbers, got {filters!r}")
        self.filters, self.ranks = tuple(filters), tuple(ranks)
        reduce_1, wide_1, reduce_2, wide_2 = self.filters[1:5]
        cube = (3, 3, 3)
        policy = self.dtype_policy
        self.branches = [
            [Unit3D(self.filters[0], dtype=policy, name="branch_0_0a_1x1")],
            [
                Unit3D(reduce_1, dtype=policy, name="branch_1_0a_1x1"),
                Unit3D(wide_1, cube, rank=self.ranks[0], dtype=policy, name="branch_1_0b_3x3"),
            ],
            [
                Unit3D(reduce_2, dtype=policy, name="branch_2_0a_1x1"),
                Unit3D(wide_2, cube, rank=self.ranks[1], dtype=policy, name="branch_2_0b_3x3"),
            ],
            [
                keras.layers.MaxPooling3D(
                    cube, (1, 1, 1), "same", data_format="channels_last", dtype=policy, name="branch_3_0a_pool"
                ),
                Unit3D(self.filters[5], dtype=policy, name="branch_3_0b_1x1"),
            ],
        ]

    def build(self, input_shape: Shape) -> None:
        for branch in self.branches:
            shape = input_shape
            for layer in branch:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = []
        for branch in self.branches:
            x = inputs
            for layer in branch:
                x = layer(x, training=training) if isinstance(layer, Unit3D) else layer(x)
            outputs.append(x)
        return keras.ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        f0, _, f2, _, f4, f5 = self.filters
        return (*input_shape[:-1], f0 + f2 + f4 + f5)

    def get_config(self) -> dict[str, Any]:
        ranks = {"ranks": self.ranks} if any(self.ranks) else {}
        return {**super().get_config(), "filters": self.filters, **ranks}
