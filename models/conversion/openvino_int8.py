"""An OpenVINO graph in 8 bit integers: post-training quantisation by NNCF, calibrated on real clips.

The ranges of the activations are measured on the clips, the weights are rounded by output channel (Jacob et al. 2018,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"). Only the heaviest
layers are: in SE-I3D ten convolutions of 76 do nine tenths of the arithmetic. With everything rounded, the ranges of
gates and logits, which are means over the clips' extremes, cut off what a new clip may need: 1.1 of logits 8 apart,
and 2 % other first choices, against 0.1 so. Run as a process of its
own, ``python -m models.conversion.openvino_int8 GRAPH CLIPS.npy TARGET``, because NNCF and its statistics keep a
gigabyte.
"""

from __future__ import annotations

import logging
import math
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.conversion.convert import convert
from models.conversion.formats import FORMATS
from models.conversion.telemetry import silence
from models.errors import ExportError
from models.weights.cards import ClipShape, ModelCard
from models.weights.export_record import ExportFormat
from pipeline.errors import ChildError
from pipeline.python_child import run_python

FEWEST_CLIPS = 8  # below, a range rests on next to nothing
FLOAT_SHARE = 0.09  # of the arithmetic, that of the cheapest layers
TIMEOUT_S = 6 * 3600.0  # minutes on a desktop; this ends only what hangs
Progress = Callable[[int, int], None]  # clips seen, clips in all
_LOG = logging.getLogger(__name__)


def quantize(card: ModelCard, clips: NDArray[np.uint8], target: Path, progress: Progress | None = None) -> None:
    """Write the card's network as an int8 graph to ``target`` (an .xml, its .bin beside it).

    ``clips`` uint8 (N, T, H, W, 3) RGB are real ones of the kind that the network will meet, at least 8; 64 to 128
    from many sources are plenty. They are not kept in memory twice. Raises ExportError when NNCF is missing, the
    clips cannot serve, or conversion or quantisation fail, and CardError for a broken folder.
    """
    if clips.dtype != np.uint8 or clips.ndim != 5 or len(clips) < FEWEST_CLIPS:
        raise ExportError(
            f"calibration wants at least {FEWEST_CLIPS} clips, uint8 (N, T, H, W, 3); got {clips.dtype} {clips.shape}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".int8-", dir=target.parent) as work:
        folder = Path(work)
        graph, pictures, fresh = folder / "float.xml", folder / "clips.npy", folder / "model.xml"
        convert(FORMATS[ExportFormat.OPENVINO], "f32", card, _shape(clips), graph)
        np.save(pictures, clips)
        _run(card.name, [str(graph), str(pictures), str(fresh)], progress)
        shutil.move(fresh.with_suffix(".bin"), target.with_suffix(".bin"))
        shutil.move(fresh, target)  # last: a graph that is there is whole


def _shape(clips: NDArray[np.uint8]) -> ClipShape:
    frames, height, width, channels = clips.shape[1:]
    return frames, height, width, channels


def _run(name: str, arguments: list[str], progress: Progress | None) -> None:
    """The child process; its last words become the error's."""

    def tell(line: str) -> None:
        done, _, total = line.partition(" of ")
        _LOG.info("%s: calibrated on %s of %s clips", name, done, total)
        if progress is not None:
            progress(int(done), int(total))

    try:
        run_python(["-m", "models.conversion.openvino_int8", *arguments], timeout_s=TIMEOUT_S, on_line=tell)
    except ChildError as error:
        words = f"not done within {TIMEOUT_S:.0f} s" if error.timed_out else error
        raise ExportError(f"{name} cannot be quantised: {words}") from None


def heaviest_layers(model: Any, float_share: float = FLOAT_SHARE) -> list[str]:
    """→ names of the layers of an ``openvino.Model`` that leave ``float_share`` of its arithmetic at most to others."""
    layers = [(_products(op), op.get_friendly_name()) for op in model.get_ordered_ops()]
    layers = sorted(layer for layer in layers if layer[0])
    running = np.cumsum([products for products, _ in layers])
    return [name for (_, name), sofar in zip(layers, running, strict=True) if sofar > float_share * running[-1]]


def _products(op: Any) -> int:
    """Multiplications of one clip in a layer with weights; 0 for other operations.

    Weights are (out, in, kernel…), those of grouped convolutions (groups, out, in, kernel…).
    """
    weights = {"Convolution": 1, "GroupConvolution": 2}.get(op.get_type_name())
    if weights is not None:
        each = math.prod(op.input(1).get_partial_shape().get_min_shape()[weights:])
    elif op.get_type_name() == "MatMul":
        each = op.input(0).get_partial_shape().get_min_shape()[-1]
    else:
        return 0
    return int(math.prod(op.output(0).get_partial_shape().get_min_shape()) * each)


def _quantise(graph: Path, clips: Path, target: Path) -> None:
    """The child's work."""
    silence()
    told, sys.stdout = sys.stdout, sys.stderr  # NNCF writes there, and not only what it is asked for
    import nncf  # noqa: PLC0415 - after silence(), an extra, and not in processes that only call ``quantize``
    import openvino as ov  # noqa: PLC0415 - likewise an affair of this child

    model = ov.Core().read_model(graph)
    pictures = np.load(clips, mmap_mode="r")
    if len(model.inputs) > 1:
        raise SystemExit("networks that take boxes besides clips are not calibrated")

    def one(index: int) -> Any:
        told.write(f"{index + 1} of {len(pictures)}\n")
        told.flush()
        return pictures[index : index + 1]

    rounded = set(heaviest_layers(model))
    others = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_friendly_name() not in rounded]
    floating = nncf.IgnoredScope(names=others, validate=False)  # constants among them are unknown to NNCF
    samples = nncf.Dataset(range(len(pictures)), one)
    quantised = nncf.quantize(model, samples, subset_size=len(pictures), ignored_scope=floating)
    ov.save_model(quantised, target, compress_to_fp16=False)


if __name__ == "__main__":
    _quantise(*map(Path, sys.argv[1:4]))
