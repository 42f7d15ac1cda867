"""A weights folder → the TensorFlow function that converters read: pixels 0..255 in, logits out.

The scaling to [-1, 1] is part of the function, so that no float copy of a clip is made outside the exported graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.errors import ExportError
from models.runtimes.runner import ClipShape
from models.runtimes.tensorflow import load_network
from models.weights.cards import read_card
from models.weights.export_record import ExportFormat

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
        scaled = tf.cast(clips, tf.float32) * (2.0 / 255.0) - 1.0
        answer = network([scaled, *boxes] if boxes else scaled, training=False)
        return {LOGITS: tf.cast(answer, tf.float32)}

    function = tf.function(logits, input_signature=signature, autograph=False)
    return Graph(function, tuple(signature), network)


def only_clips(graph: Graph, format: ExportFormat) -> None:
    """Raises ExportError for a network that takes boxes too, in formats whose runtimes pass clips alone."""
    if len(graph.signature) > 1:
        raise ExportError(f"networks that read boxes beside clips cannot be exported to {format.value}")
