"""A weights folder → what TensorRT builds an engine from: the ONNX file and ``build.sh``, the command that does.

An engine fits one kind of GPU and one release of TensorRT, so it is built where it shall run.
"""

from __future__ import annotations

from pathlib import Path

from models.conversion import onnx as export_onnx
from models.weights.cards import ClipShape

MOST_CLIPS = 8  # the largest batch of the engine
_RECIPE = """#!/bin/sh
# Builds model.engine for the GPU of this machine: TensorRT 10 or newer, with trtexec on the PATH.
# Clips of 1 to {most}, uint8 ({clip}) RGB 0..255; the scaling is part of the graph.
# TensorRT 10: add --bf16 or --fp16 for the tensor cores. TensorRT 11 and newer compute as the graph says: reduce it
# with NVIDIA ModelOpt's AutoCast first, and compare its answers on your own clips.
set -e
cd "$(dirname "$0")"
exec trtexec --onnx=model.onnx --saveEngine=model.engine \\
    --minShapes={least_shapes} --optShapes={most_shapes} --maxShapes={most_shapes} \\
    "$@"
"""


def write(folder: Path, target: Path, clip_shape: ClipShape, precision: str) -> None:
    """Write ``target`` (.onnx) and ``build.sh`` beside it. Raises what ``models.conversion.onnx`` raises."""
    export_onnx.write(folder, target, clip_shape, precision)
    script = target.with_name("build.sh")
    script.write_text(recipe(clip_shape), "utf-8")
    script.chmod(0o755)


def recipe(clip_shape: ClipShape) -> str:
    """→ the shell script."""
    clip = "x".join(map(str, clip_shape))
    return _RECIPE.format(
        most=MOST_CLIPS, clip=clip, least_shapes=f"clips:1x{clip}", most_shapes=f"clips:{MOST_CLIPS}x{clip}"
    )
