"""A weights folder → an OpenVINO graph (.xml, its .bin beside it), weights float32.

bf16 is an option with which the graph is loaded, so both precisions write the same files.
"""

from __future__ import annotations

from pathlib import Path

from models.conversion.openvino_export import export
from models.runtimes.runner import ClipShape


def write(folder: Path, target: Path, clip_shape: ClipShape, _precision: str) -> None:
    """Raises CardError for a broken folder."""
    export(folder, target, clip_shape)
