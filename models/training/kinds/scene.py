"""The Video Action Transformer in a training: a trunk that an I3D lends, and a head that asks it for one person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from models.networks.action_transformer import TRUNK_ENDPOINTS, load_trunk
from models.networks.i3d import GATES
from models.training.config import Mode
from models.training.feature_cache import Frozen, short_key
from models.training.kinds.i3d import behind
from models.training.kinds.layered import Layered, content
from models.training.scenes import Scenes
from models.weights.start import Start, copy_in_order, find_weights


@dataclass(frozen=True)
class Scene(Layered):
    """action_transformer (a ``Trainable``). Features are cut within the trunk, and kept once for all of a scene."""

    @property
    def examples(self) -> Scenes:
        return Scenes(self.config)

    def problems(self, weights: Path) -> Iterator[str]:
        yield from super().problems(weights)
        if self.config.input.augment is not None:
            yield f"input.augment is for crops: {self.config.network.kind} learns from plain scenes (augment=None)"
        if self.config.mixup:
            yield f"mixup is for crops: the boxes of two people of {self.config.network.kind} have no mean"

    def _start_problems(self, weights: Path) -> Iterator[str]:
        if self.config.network.init:
            yield from self._kind_problems(find_weights(self.config.network.init, weights))

    def _takes(self, kind: str) -> bool:
        return kind in GATES or super()._takes(kind)

    def _cache_problems(self) -> Iterator[str]:
        cache = self.config.transfer.cache_at
        if cache not in TRUNK_ENDPOINTS:
            kind, ends = self.config.network.kind, ", ".join(TRUNK_ENDPOINTS)
            yield f"transfer: {kind} caches in its trunk ({ends}), not at {cache!r}"

    def _is_cut(self, model: Any) -> bool:
        """The box passes by the features, and is kept with them."""
        return True

    def _take_over(self, model: Any, start: Start, labels: Sequence[str]) -> None:
        if start.kind == self.config.network.kind:
            copy_in_order(model, start, keep_head=start.labels != tuple(labels))
        else:
            load_trunk(model, start.weights)

    def _new_layers(self, model: Any) -> list[Any]:
        trunk = {name for endpoint in TRUNK_ENDPOINTS for name in (endpoint, f"{endpoint}_se")}
        return [layer for layer in model.layers if layer.name not in trunk]

    def front(self, stream: Mode, model: Any) -> Frozen:
        clip, _ = model.inputs
        part = keras.Model(clip, self._cut(model), name="front")
        shape = str(self.examples.reader(stream).shape)
        return Frozen(part, stream, f"scene-{self.config.transfer.cache_at}-{short_key(content(part), shape)}")

    def head(self, model: Any, shape: tuple[int, ...]) -> Any:
        """It takes dict(features=(B, t, h, w, c), boxes=(B, 4))."""
        _, box = model.inputs
        behind_cut = keras.Model([self._cut(model), box], model.output, name=f"{model.name}_behind")
        features, boxes = keras.Input(shape, name="features"), keras.Input((4,), name="boxes")
        logits = behind_cut([features, boxes])
        return keras.Model({"features": features, "boxes": boxes}, logits, name=f"{model.name}_head")

    def _cut(self, model: Any) -> Any:
        """→ the tensor behind ``cache_at`` and its gate."""
        return model.layers[behind(model, self.config.transfer.cache_at) - 1].output
