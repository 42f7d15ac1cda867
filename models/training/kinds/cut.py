"""A network cut behind one layer: what is kept of each clip, and what learns from that.

What the layer gives is kept as it is. Where the output reads several depths of an I3D (``I3DConfig.depths``), the means
of those in front of the cut pass it by: they are kept behind the layer's features, all numbers in one row.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import keras

from models.networks.i3d import BLOCKS, STAGES, mean_name

_STAGES = tuple(stage.endpoint for stage in STAGES)
_MEANS = tuple(map(mean_name, BLOCKS))


def means_of(model: Any) -> list[str]:
    """→ the names of the layers that average one of several depths."""
    names = {layer.name for layer in model.layers}
    return [name for name in _MEANS if name in names]


def passing(model: Any, layer: str) -> list[str]:
    """→ of these, those of blocks in front of ``layer``, a stage or its gate; none for a layer behind all of them."""
    stage = layer.removesuffix("_se")
    if stage not in _STAGES:
        return []
    before = {mean_name(name) for name in _STAGES[: _STAGES.index(stage)]}
    return [name for name in means_of(model) if name in before]


def front(model: Any, layer: str) -> Any:
    """→ keras.Model from the clip to what ``layer`` gives, or (B, F), where depths pass by. Weights are shared."""
    first, *means = _crossing(model, layer)
    if not means:
        return keras.Model(model.input, first, name="front")
    rows = [keras.layers.Flatten(dtype="float32")(each) for each in (first, *means)]
    return keras.Model(model.input, keras.layers.Concatenate(dtype="float32")(rows), name="front")


def behind(model: Any, layer: str) -> Any:
    """→ keras.Model from what ``layer`` gives, and the means that pass it by, to logits. Weights are shared.

    Raises ValueError where anything else passes by.
    """
    first, *means = _crossing(model, layer)
    return keras.Model([first, *means] if means else first, model.output, name=f"{model.name}_head")


def head(model: Any, layer: str, shape: tuple[int, ...]) -> Any:
    """→ keras.Model from features of ``front``, each of ``shape``, to logits; as ``behind``."""
    first, *means = _crossing(model, layer)
    rest = behind(model, layer)
    if not means:
        return rest
    row = keras.Input(shape, name="features", dtype="float32")
    ends = [math.prod(mean.shape[1:]) for mean in means]
    ends = list(itertools.accumulate(ends, initial=shape[0] - sum(ends)))
    parts = [keras.layers.Reshape((-1, *first.shape[2:]))(row[:, : ends[0]])]  # (B, t, h, w, c)
    for mean, (start, end) in zip(means, itertools.pairwise(ends), strict=True):
        parts.append(keras.layers.Reshape(mean.shape[1:])(row[:, start:end]))  # (B, 1, 1, 1, c)
    return keras.Model(row, rest(parts), name=f"{model.name}_head")


def _crossing(model: Any, layer: str) -> list[Any]:
    """→ the tensors that what is behind the cut needs."""
    return [model.get_layer(name).output for name in (layer, *passing(model, layer))]
