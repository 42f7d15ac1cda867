"""A weights folder → a Core ML package (ML program): pixels float32 (1, T, H, W, 3), 0..255 → logits (1, C).

coremltools 9 converts 3D convolutions and pools from TensorFlow to MIL operations of the same kind. It must not import
torch beside TensorFlow (their LLVMs clash), so torch is hidden from it. From torch it does not convert Keras networks:
torch.export's ``subtract`` is unknown to it, and traced ``int`` fails on NumPy 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.conversion.graph import LOGITS, only_clips, read_graph
from models.weights.cards import ClipShape
from models.weights.export_record import ExportFormat


def write(folder: Path, target: Path, clip_shape: ClipShape, precision: str) -> None:
    """Write the package ``target``. Raises CardError, ExportError, and what coremltools raises."""
    graph = read_graph(folder, clip_shape, 1, tf.float32)
    only_clips(graph, ExportFormat.COREML)
    tools = _coremltools()
    model = tools.convert(
        [graph.concrete],
        source="tensorflow",
        convert_to="mlprogram",
        minimum_deployment_target=tools.target.iOS17,
        compute_precision=tools.precision.FLOAT16 if precision == "f16" else tools.precision.FLOAT32,
        skip_model_load=True,
    )
    specification = model.get_spec()
    tools.utils.rename_feature(specification, specification.description.output[0].name, LOGITS)
    tools.models.MLModel(specification, weights_dir=model.weights_dir, skip_model_load=True).save(str(target))


def _coremltools() -> Any:
    absent: dict[str, Any] = sys.modules  # None there makes an import fail (docs.python.org, the import system)
    absent["torch"] = None
    import coremltools  # noqa: PLC0415 - after torch is hidden

    return coremltools
