"""MoViNet as a stream: each frame costs the same however long the stream is, and gives what the whole clip would.

Source: Kondratyuk et al. 2021, section 3.2 ("stream buffers").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.networks.movinet import BLOCKS, HEAD, LOGITS, POOL, PROJECT, STEM

States = dict[str, NDArray[Any]]
SEEN = "seen"
FRAMES = "frames"


class MoviNetStream:
    """``model`` (``make_movinet_a0``) frame by frame, with its own weights: training the one trains the other.

    A stream's state is a flat dict of arrays with the batch axis first, so that many people's streams make one batch
    and one's state is cut out, sent and stored by plain indexing: ``seen`` int32 (B,) frames so far, and for each
    block ``<block>/mean`` float32 (B, C) and, where its kernel reaches back, ``<block>/past`` (B, k - 1, H, W, C).

    ``compiled``: the backend builds a graph for each number of frames a step was given; else it runs every operation
    as it comes, which starts at once and is some times slower.
    """

    def __init__(self, model: Any, compiled: bool = True) -> None:
        names = {layer.name for layer in model.layers}
        missing = [name for name in (STEM, *BLOCKS, PROJECT, POOL, HEAD, LOGITS) if name not in names]
        if missing:
            raise ValueError(f"expected a MoViNet-A0, got {model.name!r} without {', '.join(missing)}")
        self.clip_shape: tuple[int, ...] = tuple(model.input_shape[1:])
        self.compiled = compiled
        self._model = model
        self._shapes = _state_shapes(model)
        self._steps: dict[int, Any] = {}

    @property
    def state_bytes(self) -> int:
        """Size of one stream's state."""
        return sum(array.nbytes for array in self.init_states(1).values())

    def init_states(self, batch: int) -> States:
        """→ the state before the first frame of ``batch`` streams."""
        if batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch}")
        states: States = {SEEN: np.zeros(batch, np.int32)}
        return states | {name: np.zeros((batch, *shape), np.float32) for name, shape in self._shapes.items()}

    def step(self, frame: NDArray[Any], states: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float32], States]:
        """One frame (B, H, W, C) or several (B, n, H, W, C), float in [-1, 1], after those ``states`` have seen.

        → logits float32 (B, num_classes) after the last frame given, and the new states; ``states`` stays as it is.
        Raises ValueError for frames or states of another shape.
        """
        frames = np.asarray(frame, np.float32)
        frames = frames[:, np.newaxis] if frames.ndim == 4 else frames
        self._check(frames, states)
        outputs = dict(self.step_model(frames.shape[1]).predict_on_batch({FRAMES: frames, **states}))
        logits = outputs.pop(LOGITS)
        return logits, outputs

    def step_model(self, frames: int = 1) -> Any:
        """→ the keras.Model of a step of so many frames: dict of ``frames`` and states → dict of logits and states."""
        if frames not in self._steps:
            # A model for each number: TensorFlow would make one of them all, with a length that is not known.
            step = self._steps[frames] = _Step(self._model, name=f"{self._model.name}_step_{frames}")
            # XLA, Keras' choice for TensorFlow, has slow depthwise convolutions for processors.
            step.compile(jit_compile=self.compiled and keras.backend.backend() == "jax", run_eagerly=not self.compiled)
        return self._steps[frames]

    def _check(self, frames: NDArray[np.float32], states: Mapping[str, NDArray[Any]]) -> None:
        if frames.ndim != 5 or frames.shape[1] < 1 or frames.shape[2:] != self.clip_shape[1:]:
            expected = ", ".join(str(size) for size in self.clip_shape[1:])
            raise ValueError(f"expected frames (B, {expected}) or (B, n, {expected}), got {frames.shape}")
        expected_shapes: dict[str, tuple[int, ...]] = {SEEN: (len(frames),)}
        expected_shapes |= {name: (len(frames), *shape) for name, shape in self._shapes.items()}
        given = {name: tuple(array.shape) for name, array in states.items()}
        for name in expected_shapes.keys() | given.keys():
            if given.get(name) != expected_shapes.get(name):
                wanted = expected_shapes.get(name, "nothing")
                raise ValueError(f"expected {wanted} for state {name!r}, got {given.get(name, 'nothing')}")


class _Step(keras.Model):  # type: ignore[misc]  # keras ships no types
    """Dict of ``frames`` and states → dict of logits and new states, over the layers of a MoViNet.

    A model of its own, so that the backend compiles one step and exporters can take it.
    """

    def __init__(self, model: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stem = model.get_layer(STEM)
        self.blocks = [model.get_layer(name) for name in BLOCKS]
        self.project, self.pool = model.get_layer(PROJECT), model.get_layer(POOL)
        self.head, self.classify = model.get_layer(HEAD), model.get_layer(LOGITS)
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        frames, seen = inputs[FRAMES], inputs[SEEN]
        after: dict[str, Any] = {SEEN: seen + frames.shape[1]}
        x = self.stem(frames, training=False)
        for name, block in zip(BLOCKS, self.blocks, strict=True):
            before = {key: inputs[f"{name}/{key}"] for key in ("past", "mean") if f"{name}/{key}" in inputs}
            x, state = block.stream(x, before, seen, training=False)
            after |= {f"{name}/{key}": value for key, value in state.items()}
        means = self.pool(self.project(x, training=False), mean=inputs[f"{POOL}/mean"], seen=seen)
        after[f"{POOL}/mean"] = means[:, -1]
        return {LOGITS: self.classify(self.head(means[:, -1])), **after}


def _state_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """→ shapes of all states but ``seen``, without the batch axis."""
    shape = tuple(model.get_layer(STEM).output.shape)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in BLOCKS:
        block = model.get_layer(name)
        shapes |= {f"{name}/{key}": size for key, size in block.state_shapes(shape).items()}
        shape = tuple(block.compute_output_shape(shape))
    shapes[f"{POOL}/mean"] = (int(model.get_layer(PROJECT).filters),)
    return shapes
