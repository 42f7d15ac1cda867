"""What a training starts from: the arrays of a weights folder, and how a new network takes them over.

An I3D takes them by path, so that gates, other classes and a stem for flow find what fits; every other network takes
them in their order, all or none. The trunk of a scene network: ``models.networks.action_transformer.load_trunk``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.errors import TrainingError
from models.layers import SqueezeExcite3D
from models.layers.unit3d import factored
from models.networks.i3d import HEAD_NORM, HIDDEN_CONV, LOGITS_CONV, STAGES
from models.weights.cards import MODEL_FILE, read_card

STEM_KERNEL = f"{STAGES[0].endpoint}/conv/kernel"
OUTPUT_LAYERS = (LOGITS_CONV, HIDDEN_CONV)  # of I3D


@dataclass(frozen=True, slots=True)
class Start:
    """Weights to start from: by path, with the class names they were trained for and the ``kind`` on their card."""

    weights: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]
    labels: tuple[str, ...]
    kind: str = ""


def find_weights(name: str, root: Path) -> Path:
    """→ folder called ``name``, as a path or in ``root``, the weights directory."""
    path = Path(name)
    return path if path.is_dir() else root / name


def read_start(folder: Path) -> Start:
    """Raises CardError for a folder that is incomplete, TrainingError for a network that cannot be read."""
    card = read_card(folder)
    try:
        model = keras.saving.load_model(folder / MODEL_FILE, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{folder / MODEL_FILE} cannot be loaded: {error}") from error
    arrays = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights if not _is_seed(weight)}
    return Start(arrays, card.labels, card.kind)


def copy_weights(model: Any, start: Start, keep_head: bool) -> None:
    """Give the I3D ``model`` every layer of ``start`` that fits; its own output and hidden nodes stay with
    ``keep_head``.

    A stem made for three colours is averaged over them for flow (Wang et al. 2016, "Temporal Segment Networks",
    cross-modality initialisation). Raises TrainingError where a convolution or its statistics do not fit: half a
    start is no start.
    """
    wrong = []
    for layer in model.layers:
        weights = [weight for weight in layer.weights if not _is_seed(weight)]
        if keep_head and layer.name in OUTPUT_LAYERS:
            continue
        values = [_fitting(start, weight) for weight in weights]
        if all(value is not None for value in values):
            for weight, value in zip(weights, values, strict=True):
                weight.assign(value)
        elif not is_new(layer):  # of a gate, all or nothing: half of it would no longer be the identity
            wrong.append(layer.name)
    if wrong:
        raise TrainingError(f"the start weights do not fit the network's layers {', '.join(wrong[:5])}")


def is_new(layer: Any) -> bool:
    """Whether Kinetics weights have no such layer of an I3D: gates, hidden nodes, the output and its normalisation."""
    return isinstance(layer, SqueezeExcite3D) or layer.name in (*OUTPUT_LAYERS, HEAD_NORM)


def load_stream(network: Any, folder: Path) -> None:
    """Give one stream of ``networks.two_stream`` (or any I3D) the weights of an I3D's folder, such as i3d-kinetics400.

    A first convolution made for colours is averaged over them for flow; an output for other classes stays at random.
    The folder's gates are left out where the network has none. Raises CardError, TrainingError.
    """
    start = read_start(folder)
    copy_weights(network, start, keep_head=len(start.labels) != network.output_shape[-1])


def copy_in_order(model: Any, start: Start, keep_head: bool) -> None:
    """Give ``model`` all weights of ``start``, in their order; its own output layer stays with ``keep_head``.

    Raises TrainingError where one does not fit.
    """
    own = [weight for weight in model.weights if not _is_seed(weight)]
    given = list(start.weights.values())
    kept = {id(weight) for weight in output_layer(model).weights} if keep_head else set()
    wrong = [
        weight.path
        for weight, value in zip(own, given, strict=False)
        if id(weight) not in kept and tuple(weight.shape) != value.shape
    ]
    if wrong or len(own) != len(given):
        raise TrainingError(
            f"the start weights ({len(given)} arrays) do not fit the network's {len(own)}; {', '.join(wrong[:5])}"
        )
    for weight, value in zip(own, given, strict=True):
        if id(weight) not in kept:
            weight.assign(value)


def output_layer(model: Any) -> Any:
    """→ the last layer that has weights: what makes the logits."""
    return next(layer for layer in reversed(model.layers) if layer.weights)


def _fitting(start: Start, weight: Any) -> np.ndarray[Any, Any] | None:
    """→ the start's value for ``weight``, None where there is none of its shape.

    Of a convolution that is split in space and time, the half that comes closest with the other.
    """
    value = start.weights.get(weight.path)
    if weight.path.endswith("/space/kernel"):
        whole = start.weights.get(weight.path.removesuffix("space/kernel") + "conv/kernel")
        return None if whole is None else factored(whole, weight.shape[-1])[0]
    if value is not None and weight.path.endswith("/conv/kernel") and value.shape[1:3] != tuple(weight.shape[1:3]):
        value = factored(value, weight.shape[3])[1]
    if value is not None and weight.path == STEM_KERNEL and value.shape[3] != weight.shape[3]:
        value = _over_colour(value, weight.shape[3])
    return value if value is not None and value.shape == tuple(weight.shape) else None


def _over_colour(kernel: np.ndarray[Any, np.dtype[np.float32]], channels: int) -> np.ndarray[Any, Any]:
    """(t, h, w, 3, F) → (t, h, w, channels, F), each channel the mean over colour."""
    return np.repeat(kernel.mean(axis=3, keepdims=True), channels, axis=3)


def _is_seed(weight: Any) -> bool:
    return "seed_generator" in weight.path
