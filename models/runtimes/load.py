"""Loading a card's network on a runtime: the one that is named, or the one that suits this machine.

Each runtime has its own file, imported when it is chosen, so that a process that runs OpenVINO never pays for
TensorFlow. A further runtime is one more file and one more line in ``_LOADERS``.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from models.errors import ExportError, RuntimeUnavailableError
from models.runtimes.choice import choose
from models.runtimes.flow_input import for_pictures
from models.runtimes.host import gpu_present
from models.runtimes.runner import AUTO, Precision, Runner, RuntimeOptions, parse_runtime
from models.weights.cards import ClipShape, ModelCard
from models.weights.network_input import channels, network_shape

Loader = Callable[[ModelCard, ClipShape, RuntimeOptions], Runner]

_LOADERS: Mapping[str, str] = {
    "tensorflow": "models.runtimes.tensorflow:load",
    "tensorflow-xla": "models.runtimes.tensorflow:load_xla",
    "openvino": "models.runtimes.openvino:load",
    "onnx": "models.runtimes.onnx:load",
    "litert": "models.runtimes.litert:load",
    "savedmodel": "models.runtimes.savedmodel:load",
}
_DEFAULTS = RuntimeOptions()
_LOG = logging.getLogger(__name__)


def load_runner(
    card: ModelCard,
    runtime: str = AUTO,
    options: RuntimeOptions = _DEFAULTS,
    clip_shape: ClipShape | None = None,
) -> Runner:
    """Load ``card``'s network for clips of ``clip_shape`` (default: the card's).

    Networks that read optical flow get it computed from the clips (``models.runtimes.flow_input``); with a
    ``clip_shape`` of the channels that they are given, they take such arrays themselves.

    ``runtime`` is a name in ``RUNTIMES``, with the precision after a colon if one is meant (``openvino:int8``).
    ``auto`` is what the card says; where that is ``auto`` too, what was measured to be fastest on this host, else
    TensorFlow when a GPU is there and OpenVINO otherwise. Raises RuntimeUnavailableError when the runtime is unknown,
    not installed, or cannot run this network.
    """
    shape = clip_shape or card.clip_shape
    if shape[3] != channels(card):
        return for_pictures(load_runner(card, runtime, options, network_shape(card, shape)), card)
    name, precision = parse_runtime(card.runtime if runtime == AUTO else runtime)
    if precision is not Precision.AUTO:
        options = replace(options, precision=precision)
    if name != AUTO:
        return _load(name, card, shape, options)
    choice = None if options.precision is not Precision.AUTO else choose(card, shape, options)
    if choice is None:
        return _load(rule(), card, shape, options)
    try:
        runner = _load(choice.runtime, card, shape, replace(options, precision=choice.precision))
    except (RuntimeUnavailableError, ExportError) as error:  # an export was damaged since, a driver is gone: it goes on
        _LOG.warning("%s: runtime auto takes %s instead of its first choice: %s", card.name, rule(), error)
        return _load(rule(), card, shape, options)
    runner.description = f"{runner.description}; {choice.reason}"
    return runner


def rule() -> str:
    """What ``auto`` is where nothing was measured: TensorFlow when a GPU is there, else OpenVINO."""
    return "tensorflow" if gpu_present() else "openvino"


def _load(name: str, card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> Runner:
    module, _, function = _LOADERS[name].partition(":")
    try:
        loader: Loader = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise RuntimeUnavailableError(f"runtime {name} is not installed here: {error}") from error
    return loader(card, clip_shape, options)
