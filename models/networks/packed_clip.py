"""A network that reads optical flow, as one that reads a single array: pictures and flow as channels of one clip."""

from __future__ import annotations

from typing import Any

import keras

from models.layers.packed_stream import AXES, COLOURS, PackedStream


def one_input(model: Any) -> Any:
    """→ keras.Model of one packed clip (B, T, H, W, 5 or 2) in [-1, 1] where ``model`` reads flow, else ``model``.

    The weights are shared. Flow is an input called ``flow``, or a ``clip`` of two channels; colours are ``clip`` or
    ``rgb``.
    """
    streams = {
        tensor.name: "flow" if tensor.name == "flow" or tensor.shape[-1] == AXES else "rgb" for tensor in model.inputs
    }
    if "flow" not in streams.values():
        return model
    width = AXES if len(streams) == 1 else COLOURS + AXES
    clip = keras.Input((*model.inputs[0].shape[1:-1], width), name="clip", dtype="float32")
    given = {name: PackedStream(stream, name=f"packed_{stream}")(clip) for name, stream in streams.items()}
    logits = model(given if len(given) > 1 else next(iter(given.values())))
    return keras.Model(clip, logits, name=f"{model.name}_packed")
