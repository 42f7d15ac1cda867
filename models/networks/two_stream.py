"""Two-stream I3D: one network on the pictures, one on their optical flow, the logits of both added.

Source: Carreira & Zisserman, "Quo Vadis, Action Recognition?" (2017), section 2.4 and figure 2e. Each stream is an I3D
of ``models.networks.i3d`` with that module's table of stages and endpoints; the flow stream's first convolution takes
two channels (x, y). Logits are added as ``actoscope train`` in the mode ``fuse`` adds them, so that softmax gives the
streams' normalised product. ``models.weights.start.load_stream`` gives a stream the weights of a folder.
"""

from __future__ import annotations

from typing import Any

import keras

from models.networks.i3d import ENDPOINTS, LOGITS, I3DConfig, build_i3d

__all__ = ["ENDPOINTS", "STREAMS", "make_two_stream_i3d", "stream"]

STREAMS: dict[str, tuple[str, int]] = {"rgb": ("clip", 3), "flow": ("flow", 2)}  # stream → its input, channels of that


def make_two_stream_i3d(num_classes: int, clip_shape: tuple[int, int, int, int], **options: Any) -> Any:
    """→ keras.Model: ``clip`` float (B, T, H, W, 3) and ``flow`` float (B, T, H, W, 2) in [-1, 1] → logits float32.

    ``options`` are ``I3DConfig``'s, for both streams alike; ``gate`` is None unless given. The clip length stays open.
    Raises ValueError for colours other than three.
    """
    _, height, width, channels = clip_shape
    if channels != 3:
        raise ValueError(f"clip_shape must have 3 channels, the flow has its own input; got {channels}")
    inputs, logits = {}, []
    for name, (source, count) in STREAMS.items():
        given: dict[str, Any] = {"gate": None, **options, "size_hw": (height, width), "channels": count}
        network = build_i3d(I3DConfig(num_classes=num_classes, **given))
        network = keras.Model(network.input, network.output, name=_layer(name))
        inputs[source] = keras.Input(network.input_shape[1:], name=source, dtype="float32")
        logits.append(network(inputs[source]))
    return keras.Model(inputs, keras.layers.Add(dtype="float32", name=LOGITS)(logits), name="two_stream_i3d")


def stream(model: Any, name: str) -> Any:
    """→ the stream ``rgb`` or ``flow`` as a network of its own: its input → its logits. Weights are shared.

    Raises ValueError for another name.
    """
    if name not in STREAMS:
        raise ValueError(f"stream must be one of {', '.join(STREAMS)}; got {name!r}")
    return model.get_layer(_layer(name))


def _layer(name: str) -> str:
    return f"{name}_stream"
