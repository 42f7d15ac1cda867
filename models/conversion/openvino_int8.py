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

import contextlib
import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ExportError
from models.runtimes.runner import Clips
from models.weights.cards import ModelCard

FEWEST_CLIPS = 8  # below, a range rests on next to nothing
FLOAT_SHARE = 0.09  # of the arithmetic, that of the cheapest layers
Progress = Callable[[int, int], None]  # clips seen, clips in all
_LOG = logging.getLogger(__name__)
_ROOT = str(Path(__file__).resolve().parents[2])


def quantize(card: ModelCard, clips: Clips, target: Path, progress: Progress | None = None) -> None:
    """Write the card's network as an int8 graph to ``target`` (an .xml, its .bin beside it).

    ``clips`` uint8 (N, T, H, W, 3) RGB are real ones of the kind that the network will meet, at least 8; 64 to 128
    from many sources are plenty. They are not kept in memory twice. Raises ExportError when NNCF is missing, the
    clips cannot serve or the quantisation fails, and what ``runtime_openvino.converted`` raises.
    """
    from models.runtimes.openvino import converted  # noqa: PLC0415  # OpenVINO only where it is needed

    if clips.dtype != np.uint8 or clips.ndim != 5 or len(clips) < FEWEST_CLIPS:
        raise ExportError(
            f"calibration wants at least {FEWEST_CLIPS} clips, uint8 (N, T, H, W, 3); got {clips.dtype} {clips.shape}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".int8-", dir=target.parent) as work:
        folder = Path(work)
        graph = converted(card, _shape(clips), folder / "float")
        np.save(folder / "clips.npy", clips)
        fresh = folder / "model.xml"
        _run(card.name, [str(graph), str(folder / "clips.npy"), str(fresh)], progress)
        shutil.move(fresh.with_suffix(".bin"), target.with_suffix(".bin"))
        shutil.move(fresh, target)  # last: a graph that is there is whole


def _shape(clips: Clips) -> tuple[int, int, int, int]:
    frames, height, width, channels = clips.shape[1:]
    return frames, height, width, channels


def _run(name: str, arguments: list[str], progress: Progress | None) -> None:
    """The child process; its last words become the error's."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", "models.conversion.openvino_int8", *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True, "errors": "replace"}
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        with _ended(subprocess.Popen(command, env=environment, stderr=complaints, **pipes)) as child:
            for line in child.stdout or ():
                done, _, total = line.partition(" of ")
                _LOG.info("%s: calibrated on %s of %s clips", name, done, total.strip())
                if progress is not None:
                    progress(int(done), int(total))
            status = child.wait()
        complaints.seek(0)
        words = [line for line in complaints.read().splitlines() if line.strip()]
    if status != 0:
        raise ExportError(f"{name} cannot be quantised: {words[-1] if words else f'exit status {status}'}")


@contextlib.contextmanager
def _ended(child: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """However the block is left (Ctrl-C too), the child is gone then."""
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


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
    from models.conversion.telemetry import silence  # noqa: PLC0415

    silence()
    told, sys.stdout = sys.stdout, sys.stderr  # NNCF writes there, and not only what it is asked for
    import nncf  # noqa: PLC0415  # after silence(), and not in processes that only call ``quantize``
    import openvino as ov  # noqa: PLC0415

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
