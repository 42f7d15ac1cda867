"""A saved network → the TensorFlow functions that converters read and TensorFlow runs: pixels 0..255 in, logits out.

The scaling to [-1, 1] is part of the function, so that no float copy of a clip is made outside the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.errors import ExportError
from models.weights.cards import ClipShape, read_card
from models.weights.export_record import ExportFormat
from models.weights.saved_network import load_network

CLIPS, BOXES, LOGITS = "clips", "boxes", "logits"
_SCENE_INPUTS = ["clip", "boxes"]


@dataclass(frozen=True, slots=True)
class Graph:
    """``function``: tf.function, clips (and boxes) → {"logits": float32 (N, C)}. ``network``: owns the variables."""

    function: Any
    signature: tuple[Any, ...]
    network: Any

    @property
    def concrete(self) -> Any:
        return self.function.get_concrete_function()

    def holder(self) -> Any:
        """→ tf.Module that holds every variable once.

        TensorFlow does not find all of them in a Keras model: LiteRT's converter would leave some without a value, and
        Keras' own archive saves each twice.
        """
        module = tf.Module()
        module.weights = [variable.value for variable in self.network.variables]
        return module


def read_graph(folder: Path, clip_shape: ClipShape, batch: int | None, pixels: Any = tf.uint8) -> Graph:
    """Load the folder's network as a function of ``batch`` clips (None: any number), pixels 0..255 of type ``pixels``.

    Where the network sees whole scenes the function takes boxes float32 (N, 4) too. Raises CardError for a broken
    folder, ExportError for a network with other inputs.
    """
    network = load_network(read_card(folder))
    names = [each.name for each in network.inputs]
    if len(names) > 1 and names != _SCENE_INPUTS:
        raise ExportError(f"{folder.name} reads {', '.join(names)}; only clips, or clips and boxes, can be exported")
    signature = [tf.TensorSpec((batch, *clip_shape), pixels, name=CLIPS)]
    if len(names) > 1:
        signature.append(tf.TensorSpec((batch, 4), tf.float32, name=BOXES))

    def logits(clips: Any, *boxes: Any) -> dict[str, Any]:
        return {LOGITS: _answer(network, clips, boxes)}

    function = tf.function(logits, input_signature=signature, autograph=False)
    return Graph(function, tuple(signature), network)


def uint8_network(model: Any, clip_shape: ClipShape, xla: bool = False) -> Any:
    """→ tf.function: uint8 (N, T, H, W, 3) → float32 (N, C) logits.

    Where the network has a second input, the function has one too: boxes float32 (N, 4), whose number may be another
    than that of the clips.
    """

    def logits(clips: Any, *boxes: Any) -> Any:
        return _answer(model, clips, boxes)

    signature = [tf.TensorSpec((None, *clip_shape), tf.uint8, name=CLIPS)]
    if len(model.inputs) > 1:
        signature.append(tf.TensorSpec((None, 4), tf.float32, name=BOXES))
    return tf.function(logits, input_signature=signature, autograph=False, jit_compile=xla or None)


def only_clips(graph: Graph, format: ExportFormat) -> None:
    """Raises ExportError for a network that takes boxes too, in formats whose runtimes pass clips alone."""
    if len(graph.signature) > 1:
        raise ExportError(f"networks that read boxes beside clips cannot be exported to {format.value}")


def _answer(network: Any, clips: Any, boxes: tuple[Any, ...]) -> Any:
    """Pixels 0..255 (N, T, H, W, 3) of any type, and boxes where the network takes some → float32 (N, C) logits."""
    scaled = tf.cast(clips, tf.float32) * (2.0 / 255.0) - 1.0
    return tf.cast(network([scaled, *boxes] if boxes else scaled, training=False), tf.float32)
