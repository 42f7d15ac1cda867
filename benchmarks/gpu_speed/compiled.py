"""One network → a callable on the accelerator of the Keras backend in use: eager or compiled, float32 or bfloat16.

Every callable takes clips that already lie on the device, uint8 (N, T, H, W, 3), scales them inside the graph, and
gives logits that are not waited for; ``ready`` waits. So nothing but the network is timed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

import models.layers  # noqa: F401  # registers the layers that saved networks name

Call = Callable[[Any], Any]

# How each backend can run a network; the first is what a plain Keras user gets.
MODES: dict[str, tuple[str, ...]] = {
    "tensorflow": ("graph", "xla"),
    "jax": ("xla",),
    "torch": ("eager", "inductor", "inductor, channels last"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """Where the backend computes. ``name`` is the chip's; ``gpu`` False is a CPU."""

    backend: str
    release: str
    name: str
    gpu: bool


def device() -> Device:
    """What the backend in use would compute on."""
    backend = str(keras.backend.backend())
    library = importlib.import_module(backend)
    name, gpu = _NAMES[backend](library)
    return Device(backend, str(library.__version__), name, gpu)


def _tensorflow_name(tf: Any) -> tuple[str, bool]:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU", False
    tf.config.experimental.set_memory_growth(gpus[0], True)
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")), True


def _jax_name(jax: Any) -> tuple[str, bool]:
    first = jax.devices()[0]
    return str(first.device_kind), first.platform == "gpu"


def _torch_name(torch: Any) -> tuple[str, bool]:
    gpu = torch.cuda.is_available()
    return (str(torch.cuda.get_device_name(0)), True) if gpu else ("CPU", False)


_NAMES: dict[str, Callable[[Any], tuple[str, bool]]] = {
    "tensorflow": _tensorflow_name,
    "jax": _jax_name,
    "torch": _torch_name,
}


def compiled(build: Callable[[], Any], precision: str, mode: str) -> Call:
    """→ callable for the network that ``build`` makes under ``precision`` (f32 or bf16), run in ``mode``.

    Raises ValueError for a mode that the backend in use has not.
    """
    backend = str(keras.backend.backend())
    if mode not in MODES[backend]:
        raise ValueError(f"mode of {backend} must be one of {', '.join(MODES[backend])}; got {mode!r}")
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
    try:
        return _MAKERS[backend](build(), mode)
    finally:
        keras.config.set_dtype_policy("float32")


def scaled(clips: Any) -> Any:
    """uint8 0..255 → float32 [-1, 1], as the service's graphs do."""
    return keras.ops.cast(clips, "float32") * (2.0 / 255.0) - 1.0


def _tensorflow(model: Any, mode: str) -> Call:
    tf = importlib.import_module("tensorflow")
    call: Call = tf.function(
        lambda clips: model(scaled(clips), training=False), jit_compile=mode == "xla", autograph=False
    )
    return call


def _jax(model: Any, mode: str) -> Call:
    jax = importlib.import_module("jax")
    weights = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]

    @jax.jit  # type: ignore[untyped-decorator]
    def run(weights: Any, clips: Any) -> Any:
        return model.stateless_call(*weights, scaled(clips), training=False)[0]

    return lambda clips: run(weights, clips)


def _torch(model: Any, mode: str) -> Call:
    torch = importlib.import_module("torch")
    model.eval()
    if mode.endswith("channels last"):  # weights in the layout in which tensor cores read them
        model.to(memory_format=torch.channels_last_3d)

    def run(clips: Any) -> Any:
        return model(scaled(clips), training=False)

    inner = run if mode == "eager" else torch.compile(run)

    def call(clips: Any) -> Any:
        with torch.inference_mode():
            return inner(clips)

    return call


_MAKERS: dict[str, Callable[[Any, str], Call]] = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def on_device(array: np.ndarray[Any, Any]) -> Any:
    """→ the array as a tensor of the backend, where the backend computes."""
    return keras.ops.convert_to_tensor(array)


def ready(result: Any) -> None:
    """Waits until the tensor is computed: a value of it is fetched, which every backend must wait for."""
    keras.ops.convert_to_numpy(keras.ops.ravel(result)[:1])
