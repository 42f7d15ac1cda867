"""The picture networks of keras.applications as parts of video networks: by name, on our pictures, with their weights.

One name is our own, TorchMobileNetV2: its ImageNet weights come with an installed package.

The layers are put into the graph of the video network one by one, so that each of them can be reached, frozen and
converted there by its name.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.errors import PullError
from models.layers.recolour import RGB, Recolour
from models.networks.torch_mobilenet import TorchMobileNetV2

IMAGENET = "imagenet"


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """``name``: a network of keras.applications, or ``TorchMobileNetV2``. ``options``: further arguments of it.

    ``weights``: None (random), ``imagenet`` (those of keras.applications: downloaded once, then kept in its folder;
    those of TorchMobileNetV2 are there), or a file of weights without the classifier, as ``save_weights`` writes it or
    keras.applications downloads it.
    """

    name: str = "InceptionV3"
    weights: str | Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in backbone_names():
            raise ValueError(f"backbone must be one of {', '.join(backbone_names())}; got {self.name!r}")
        if self.weights is not None and self.weights != IMAGENET and not Path(self.weights).is_file():
            raise ValueError(f"weights must be None, {IMAGENET!r} or a file; there is no file {self.weights}")


def backbone_names() -> tuple[str, ...]:
    """Every network of keras.applications, and our own."""
    return tuple(sorted(_makers()))


def add_backbone(config: BackboneConfig, pictures: Any) -> Any:
    """``pictures``: tensor float (N, H, W, 3) RGB in [-1, 1] of a Keras graph → tensor (N, D), averaged over space.

    Raises ValueError for pictures or options that the network does not take and for weights that are not its own,
    PullError for ImageNet weights that cannot be fetched.
    """
    plain = _application(config, tuple(pictures.shape[1:]))
    outputs: list[Any] = []  # of each layer in turn, in the graph of ``pictures``; that of ``copy`` begins behind them

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        outputs.append(layer(*inputs, **options))
        return outputs[-1]

    copy = keras.models.clone_model(
        plain, input_tensors=recolour(config.name)(pictures), clone_function=_Renamed(), call_function=call
    )
    copy.set_weights(plain.get_weights())
    return outputs[-1]


def recolour(name: str) -> Recolour:
    """→ layer from [-1, 1] to what the network ``name`` was trained on.

    What each one's ``preprocess_input`` does is the same for every picture: channels in another order, each scaled
    and shifted. Black and the three pure colours show how.
    """
    preprocess = sys.modules[_makers()[name].__module__].preprocess_input
    black, colours = np.zeros((1, 1, 1, 3), np.float32), 255 * np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    low = np.asarray(preprocess(black, data_format="channels_last"), np.float64).reshape(3)
    gains = np.asarray(preprocess(colours, data_format="channels_last"), np.float64).reshape(3, 3) - low
    order = tuple(int(row) for row in gains.argmax(axis=0))  # output channel → the colour that it shows
    half = gains[order, RGB] / 2  # from -1..1, 2 wide, to 0..255
    return Recolour(half.tolist(), (low + half).tolist(), order, name="Recolour")


def _application(config: BackboneConfig, shape: tuple[int, int, int]) -> Any:
    """→ the network of keras.applications itself, float (N, H, W, 3) → (N, D)."""
    given = {"include_top": False, "pooling": "avg", "input_shape": shape, **config.options}
    make = _makers()[config.name]
    with _channels_last():
        try:
            model = make(weights=None, **given)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{config.name} does not take pictures of {shape} with {given}: {error}") from error
        if config.weights == IMAGENET:
            return _with_imagenet(config, lambda: make(weights=IMAGENET, **given))
    if config.weights is not None:
        _load(model, config)
    return model


def _with_imagenet(config: BackboneConfig, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except PullError:
        raise
    except ValueError as error:  # there are none for these options
        raise ValueError(f"{config.name} has no ImageNet weights for {dict(config.options)}: {error}") from error
    except Exception as error:  # keras raises bare Exception when a download fails
        kept = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
        raise PullError(
            f"the ImageNet weights of {config.name} could not be fetched: {error}. They need a network once, or the "
            f"file in {kept} from a machine that has them; weights=FILE takes any file of weights, weights=None "
            "starts at random"
        ) from error


def _load(model: Any, config: BackboneConfig) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # keras leaves layers as they are that the file lacks, and only warns
            model.load_weights(config.weights)
    except (OSError, ValueError, KeyError, TypeError, Warning) as error:
        raise ValueError(
            f"{config.weights} holds no weights of {config.name} without its classifier: {error}"
        ) from error


class _Renamed:
    """Copies layers; those that Keras has numbered through all networks of the process are numbered in this one only.

    Names, and with them what is told apart by names, thus depend on the network alone.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def __call__(self, layer: Any) -> Any:
        config = layer.get_config()
        base = re.sub(r"_\d+$", "", layer.name)
        if base.replace("_", "") == type(layer).__name__.lower():
            number = self._seen[base]
            self._seen[base] += 1
            config["name"] = f"{base}_{number}" if number else base
        return type(layer).from_config(config)


@contextmanager
def _channels_last() -> Iterator[None]:
    """keras.applications follows the process's setting; our graphs never do."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def _makers() -> dict[str, Callable[..., Any]]:
    """By name, the functions that make a network; their module holds its preprocessing."""
    theirs = {name: value for name, value in vars(keras.applications).items() if name[:1].isupper() and callable(value)}
    return {**theirs, TorchMobileNetV2.__name__: TorchMobileNetV2}
