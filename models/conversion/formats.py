"""Explicit table of what ``actoscope export`` writes: format → precisions, files, converter, and who loads it.

Each converter is a file of its own, run in a process of its own (``models.conversion.convert``): TensorFlow, torch and
coremltools cannot all live in one process, and what they take up leaves with it. A further format is one more row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.errors import ExportError
from models.weights.export_record import ExportFormat

SERVED_FUNCTION = "serve"  # of a SavedModel
HALF_WEIGHTS = "f16"  # the precision in which weights are stored in half; OpenVINO computes with them as f32


@dataclass(frozen=True, slots=True)
class FormatRow:
    """``precisions``: the first is the default. ``file``: what is opened, in the export's folder. ``beside``: what it
    cannot be opened without.

    ``writer``: module with ``write(network folder, target, clip_shape, precision)``; empty for the one format that
    has its own way. ``runtime``: the name in ``models.runtimes.runner`` that loads it, empty where none does.
    ``packages``: what the result depends on, whose versions are noted.
    """

    format: ExportFormat
    precisions: tuple[str, ...]
    file: str
    writer: str
    runtime: str
    packages: tuple[str, ...]
    batch: int | None = 1
    beside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


_ROWS = (
    FormatRow(
        ExportFormat.OPENVINO,
        ("f32", "bf16"),
        "model.xml",
        "models.conversion.openvino",
        "openvino",
        ("openvino", "tensorflow", "keras"),
        beside=("model.bin",),
        notes=("bf16 is an option of loading: the graph and its size are those of f32",),
    ),
    FormatRow(
        ExportFormat.OPENVINO_INT8,
        ("int8",),
        "model.xml",
        "",
        "openvino",
        ("openvino", "nncf", "tensorflow", "keras"),
        beside=("model.bin",),
    ),
    FormatRow(
        ExportFormat.ONNX,
        ("f32",),
        "model.onnx",
        "models.conversion.onnx",
        "onnx",
        ("onnx", "tf2onnx", "tensorflow", "keras"),
        batch=None,
    ),
    FormatRow(
        ExportFormat.LITERT,
        ("f32", "f16", "int8"),
        "model.tflite",
        "models.conversion.litert",
        "litert",
        ("tensorflow", "keras"),
        notes=("3D convolutions and pools are written as 2D ones that give the same numbers",),
    ),
    FormatRow(
        ExportFormat.SAVEDMODEL,
        ("f32",),
        "saved_model",
        "models.conversion.savedmodel",
        "savedmodel",
        ("tensorflow", "keras"),
        batch=None,
    ),
    FormatRow(
        ExportFormat.COREML,
        ("f16", "f32"),
        "model.mlpackage",
        "models.conversion.coreml",
        "",
        ("coremltools", "tensorflow", "keras"),
        notes=(
            "takes pixels 0..255 as float32: a Core ML array cannot be uint8; the scaling is part of the graph",
            "Core ML runs on Apple's systems only: parity was not measured, compare some clips there before use",
        ),
    ),
    FormatRow(
        ExportFormat.TENSORRT,
        ("f32",),
        "model.onnx",
        "models.conversion.tensorrt",
        "",
        ("onnx", "tf2onnx", "tensorflow", "keras"),
        batch=None,
        notes=("an engine fits one kind of GPU and one TensorRT only: build.sh makes it where it shall run",),
    ),
)
FORMATS: Mapping[ExportFormat, FormatRow] = {row.format: row for row in _ROWS}


def checked_precision(row: FormatRow, wanted: str | None) -> str:
    """→ the precision to write. Raises ExportError for one that the format has not."""
    if wanted is None:
        return row.precisions[0]
    if wanted not in row.precisions:
        raise ExportError(f"{row.format.value} comes in {', '.join(row.precisions)}; got {wanted!r}")
    return wanted


def folder_name(row: FormatRow, precision: str) -> str:
    """``onnx``, ``openvino-int8``, ``litert-f16``: the precision is named where the format has several."""
    return row.format.value if len(row.precisions) == 1 else f"{row.format.value}-{precision}"
