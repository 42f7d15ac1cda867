"""Stem reuse on a Keras network: the reference that other runtimes are compared with, on any backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models.errors import OverlapUnsupportedError
from models.networks.i3d import GATES, features
from models.runtimes.overlap import HEAD_STEPS, SHIFTS, TAIL_STEPS, Features, usable_shifts
from models.runtimes.runner import Clips, Floats

CUT = "MaxPool3d_3a_3x3"


def split(model: Any) -> tuple[Any, Any]:
    """I3D or SE-I3D → (stem: clip → features after MaxPool3d_3a, rest: these → logits); the weights are shared.

    Raises OverlapUnsupportedError for another network.
    """
    names = {layer.name for layer in model.layers}
    if CUT not in names or "Mixed_3b" not in names or len(model.inputs) != 1:
        raise OverlapUnsupportedError(f"stems are reused by {', '.join(GATES)} only; {model.name!r} is no such network")
    rest = keras.Model(model.get_layer(CUT).output, model.output, name=f"{model.name}_after_{CUT}")
    return features(model, CUT), rest


class KerasParts:
    """The parts of one network for clips of (T, H, W, 3). Segments are run with "SAME" padding at both ends; the steps
    that touch padding where the clip goes on are dropped."""

    time_axis = 1  # (1, T/2, H/8, W/8, 192)

    def __init__(self, model: Any, clip_shape: tuple[int, int, int, int], shifts: tuple[int, ...] = SHIFTS) -> None:
        self.frames = clip_shape[0]
        self.shifts = usable_shifts(self.frames, shifts)
        self._stem, self._rest = split(model)
        self.description = f"Keras on {keras.backend.backend()}"
        self.clip_bytes = 4 * int(np.prod(self._stem.compute_output_shape((1, *clip_shape))))

    def whole(self, clip: Clips) -> Features:
        scaled = clip.astype(np.float32) * np.float32(2.0 / 255.0) - np.float32(1.0)
        return np.array(keras.ops.convert_to_numpy(self._stem(scaled, training=False)))

    def head(self, crops: Clips) -> Features:
        return self.whole(crops)[:, :HEAD_STEPS]

    def tail(self, crops: Clips, shift: int) -> Features:
        return self.whole(crops)[:, -(TAIL_STEPS + shift // 2) :]

    def rest(self, features: Features) -> Floats:
        return np.array(keras.ops.convert_to_numpy(self._rest(features, training=False)), np.float32)
