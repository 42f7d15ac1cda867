"""One check for every network of the registry, on real clips, and one for its weights on another backend.

``check_network`` compiles nothing: the few training steps that show that a gradient reaches every weight and that the
network can learn eight clips by heart run eagerly.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.data.batches.flow import flow_fields
from models.networks import registry
from tests.support.places import REPOSITORY, STREET

CLIPS = 8
MAX_DIFFERENCE = 1e-5  # of the largest logit, between two backends in float32: they add up in another order
ClipShape = tuple[int, int, int, int]
# Where the windows of the eight clips lie in the halved picture of 288×384: (first frame, top, left), 144 pixels wide.
WINDOWS = (
    (0, 0, 0),
    (0, 0, 120),
    (0, 0, 240),
    (0, 144, 0),
    (0, 144, 120),
    (0, 144, 240),
    (100, 72, 60),
    (100, 72, 180),
)


@dataclass(frozen=True, slots=True)
class OverfitPlan:
    """Adam on all eight clips at once, at most ``steps`` times. Eight clips get labels 0, 1, … modulo the classes."""

    steps: int = 40
    learning_rate: float = 2e-3
    look_every: int = 3  # steps between two measurements of the accuracy
    accuracy: float = 0.95
    eager: bool = True  # tracing a step of a hundred convolutions takes longer than the few steps needed


def check_network(
    build: Callable[[], Any],
    *,
    clip_shape: ClipShape,
    num_classes: int,
    parameters: int | None,
    overfit: OverfitPlan | None = OverfitPlan(),
) -> Any:
    """Shapes, parameter count, round trip through a file, gradients and learning by heart of what ``build`` makes.

    ``parameters``: exact number, trainable or not, without the state of random numbers; None where another test counts.
    ``overfit`` None leaves out training. The accuracy is that of inference mode, with batch normalisation's moving
    statistics set to those of the eight clips (momentum 0): at the papers' momenta they need thousands of steps.
    → the network, trained where a plan is given.
    """
    keras.utils.set_random_seed(11)
    model = build()
    if parameters is not None:
        assert count_parameters(model) == parameters
    inputs = network_inputs(model, real_clips(clip_shape))
    logits = run(model, inputs)
    assert logits.shape == (CLIPS, num_classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert np.ptp(logits, axis=0).max() > 0, "all clips get the same logits"
    check_round_trip(model, inputs)
    if overfit is not None:
        check_learning(model, inputs, np.arange(CLIPS) % num_classes, overfit)
    return model


def check_round_trip(model: Any, inputs: Mapping[str, NDArray[np.float32]]) -> None:
    """A ``.keras`` file gives the same network again, with statistics and zero starts that are not their defaults."""
    disturb(model)
    expected = run(model, inputs)
    with tempfile.TemporaryDirectory(prefix="check-network-") as work:
        path = Path(work) / "model.keras"
        model.save(path)
        again = keras.saving.load_model(path, compile=False, safe_mode=True)
    np.testing.assert_allclose(run(again, inputs), expected, rtol=1e-5, atol=1e-5)


def check_learning(
    model: Any, inputs: Mapping[str, NDArray[np.float32]], targets: NDArray[np.int64], plan: OverfitPlan
) -> None:
    """Adam without decay moves a weight where, and only where, a gradient other than zero has reached it."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    start = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(plan.learning_rate), loss, run_eagerly=plan.eager, jit_compile=False)
    accuracy = 0.0
    for step in range(1, plan.steps + 1):
        assert np.isfinite(model.train_on_batch(_given(model, inputs), targets)), (
            f"the loss is not finite in step {step}"
        )
        if step % plan.look_every == 0 or step == plan.steps:
            model(_given(model, inputs), training=True)  # the statistics of the weights as they are now
            accuracy = float((run(model, inputs).argmax(-1) == targets).mean())
            if accuracy >= plan.accuracy:
                break
    still = [
        weight.path
        for weight, before in zip(model.trainable_weights, start, strict=True)
        if np.array_equal(keras.ops.convert_to_numpy(weight), before)
    ]
    assert not still, f"no gradient reaches {', '.join(still)}"
    assert accuracy >= plan.accuracy, f"accuracy {accuracy:.2f} on {CLIPS} clips after {plan.steps} steps"


def check_backends(
    name: str, options: Mapping[str, Any], clip_shape: ClipShape, num_classes: int, backends: Sequence[str] = ("jax",)
) -> None:
    """The registry's network ``name``: the same weights and clips give the same logits on every other backend."""
    check_all_backends({name: (clip_shape, options)}, num_classes, backends)


def check_all_backends(
    networks: Mapping[str, tuple[ClipShape, Mapping[str, Any]]], num_classes: int, backends: Sequence[str]
) -> None:
    """As ``check_backends`` for several networks, with one process a backend. Skips what is not installed."""
    missing = [backend for backend in backends if importlib.util.find_spec(backend) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    with tempfile.TemporaryDirectory(prefix="backends-") as work:
        folder = Path(work)
        expected = {}
        for name, (clip_shape, options) in networks.items():
            keras.utils.set_random_seed(12)
            model = registry.build(name, num_classes, clip_shape, **options)
            disturb(model)
            inputs = {key: value[:2] for key, value in network_inputs(model, real_clips(clip_shape)).items()}
            expected[name] = run(model, inputs)
            assert np.ptp(expected[name]) > 1e-2, f"{name}: logits of two clips and all classes are nearly the same"
            model.save(folder / f"{name}.keras")
            np.savez(folder / f"{name}.npz", allow_pickle=False, **inputs)
        for backend in backends:
            _run_elsewhere(folder, backend)
            worst = {
                name: float(np.abs(np.load(folder / f"{name}.{backend}.npy") - logits).max() / np.abs(logits).max())
                for name, logits in expected.items()
            }
            assert max(worst.values()) <= MAX_DIFFERENCE, f"{backend} to {keras.backend.backend()}: {json.dumps(worst)}"


def _run_elsewhere(folder: Path, backend: str) -> None:
    quiet = {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    quiet["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # compiling takes longer than one run of a slower program
    hasty = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # every program runs once: compiling is what takes time
    environment = {**os.environ, **quiet, **hasty, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "tests.models.backend_logits", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


def run(model: Any, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """→ the model's logits in inference mode."""
    return np.asarray(keras.ops.convert_to_numpy(model(_given(model, inputs), training=False)))


def _given(model: Any, inputs: Mapping[str, NDArray[np.float32]]) -> Any:
    """→ the inputs as Keras wants them: one array bare, several in a dict."""
    return dict(inputs) if len(model.inputs) > 1 else next(iter(inputs.values()))


def count_parameters(model: Any) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.weights if "seed_generator" not in weight.path)


def disturb(model: Any, seed: int = 3) -> None:
    """Give statistics, offsets and whatever starts at zero or one a value of its own, so that no mix-up can hide."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" in weight.path:
            continue
        value = keras.ops.convert_to_numpy(weight)
        if np.issubdtype(value.dtype, np.floating) and (len(weight.shape) <= 1 or np.ptp(value) == 0):
            weight.assign(value + rng.uniform(0, 0.05, value.shape).astype(np.float32))


def network_inputs(model: Any, clips: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """uint8 (N, T, H, W, 3) → what the model's inputs want by name: ``clip`` (or ``rgb``), ``flow``, ``boxes``."""
    pictures = clips.astype(np.float32) / np.float32(127.5) - np.float32(1)
    makers: dict[str, Callable[[], NDArray[np.float32]]] = {
        "clip": lambda: pictures,
        "rgb": lambda: pictures,
        "flow": lambda: np.stack([flow_fields(clip) for clip in clips]),
        "boxes": lambda: moving_boxes(len(clips)),
    }
    names = [tensor.name for tensor in model.inputs]
    if names == ["clip"] and model.inputs[0].shape[-1] == 2:
        return {"clip": makers["flow"]()}
    return {name: makers[name]() for name in names}


def moving_boxes(count: int) -> NDArray[np.float32]:
    """→ float32 (count, 4): x1 y1 x2 y2 in 0..1, each of another place and size."""
    corner = np.linspace(0.0, 0.5, count)
    return np.stack([corner, corner[::-1], corner + 0.3, corner[::-1] + 0.45], axis=-1).astype(np.float32)


def real_clips(clip_shape: ClipShape) -> NDArray[np.uint8]:
    """Eight windows of the street's video → uint8 (8, T, H, W, 3) RGB; T up to 100 frames follow one another."""
    frames, height, width, _ = clip_shape
    street = _street()
    clips = np.empty((CLIPS, frames, height, width, 3), np.uint8)
    for clip, (first, top, left) in zip(clips, WINDOWS, strict=True):
        for place, picture in enumerate(street[first : first + frames, top : top + 144, left : left + 144]):
            clip[place] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return clips


@lru_cache(maxsize=1)
def _street() -> NDArray[np.uint8]:
    """→ uint8 (200, 288, 384, 3): the whole video at half its size."""
    with av.open(str(STREET)) as container:
        pictures = [frame.to_ndarray(format="rgb24", width=384, height=288) for frame in container.decode(video=0)]
    return np.stack(pictures)
