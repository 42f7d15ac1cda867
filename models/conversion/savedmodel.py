"""A weights folder → a TensorFlow SavedModel, for TensorFlow Serving and for programs without Keras or this package.

Its function ``serve`` (also the signature ``serving_default``) takes clips uint8 (N, T, H, W, 3), any number, and
boxes float32 (N, 4) where the network sees whole scenes → {"logits": float32 (N, C)}.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from models.conversion.formats import SERVED_FUNCTION
from models.conversion.graph import read_graph
from models.weights.cards import ClipShape


def write(folder: Path, target: Path, clip_shape: ClipShape, _precision: str) -> None:
    """Write the folder ``target``. Raises CardError, ExportError."""
    graph = read_graph(folder, clip_shape, None)
    module = graph.holder()
    setattr(module, SERVED_FUNCTION, graph.function)
    tf.saved_model.save(module, str(target), signatures=graph.function)
