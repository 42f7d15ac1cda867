"""I3D in a training: its streams built, started from other weights, cut in two, and unfrozen part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras

from models.data.batches.input_pipeline import InputConfig
from models.data.manifest import ClipRecord
from models.errors import TrainingError
from models.layers import Inception3D, Unit3D
from models.networks.i3d import AVG_POOL, GATES, STAGES, I3DConfig, build_i3d
from models.networks.i3d_light import LAST, light_config
from models.training.config import ALL_LAYERS, CHANNELS, NEW_LAYERS, BatchNorm, Mode, NetworkConfig, TrainConfig
from models.training.crops import CropReader, Crops
from models.training.feature_cache import FeatureSet, Frozen, Progress, features_of, short_key
from models.training.frozen_front import front_key
from models.training.kinds import cut
from models.weights.start import OUTPUT_LAYERS, Start, copy_weights, is_new

STAGE_NAMES = tuple(stage.endpoint for stage in STAGES)
ENDPOINTS = (*STAGE_NAMES, AVG_POOL)
LIGHT = "i3d_light"
KINDS = (*GATES, LIGHT)


@dataclass(frozen=True)
class I3D:
    """I3D, SE-I3D and the light I3D (a ``Trainable``). Features are cut at published endpoints, after their gates."""

    config: TrainConfig
    masks: ClassVar[bool] = False
    output_layers: ClassVar[tuple[str, ...]] = OUTPUT_LAYERS

    @property
    def examples(self) -> Crops:
        return Crops(self.config)

    @property
    def card_kind(self) -> str:
        """The network, and the stream where it is not RGB alone."""
        kind, mode = self.config.network.kind, self.config.mode
        return kind if mode is Mode.RGB else f"{kind}_{mode.value}"

    def problems(self, weights: Path) -> Iterator[str]:
        if self.config.network.options:
            yield "network.options are for other networks than I3D, whose fields are init_flow, hidden, dropout, …"
        yield from self._shape_problems()
        yield from self._endpoint_problems()

    def _shape_problems(self) -> Iterator[str]:
        try:
            _shape(self.config.network, Mode.RGB, 1, self.config.input.size)
        except ValueError as error:
            yield f"network: {error}"

    def _endpoint_problems(self) -> Iterator[str]:
        rows, cache = self.config.transfer.unfreeze, self.config.transfer.cache_at
        for name in [row.train_from for row in rows] + ([cache] if cache else []):
            try:
                endpoint_order(name)
            except TrainingError as error:
                yield f"transfer: {error}"
                return
        if self.config.network.kind == LIGHT:
            named = {cache, *(row.train_from for row in rows)}
            late = [name for name in STAGE_NAMES[STAGE_NAMES.index(LAST) + 1 :] if name in named]
            if late:
                yield f"transfer: {LIGHT} ends with {LAST} and has no {', '.join(late)}"
        early = [row.train_from for row in rows if cache and endpoint_order(row.train_from) <= endpoint_order(cache)]
        if early:
            yield (
                f"transfer: {', '.join(early)} lies in the part whose features are cached (up to "
                f"{cache}); cache earlier, or set cache_at to ''"
            )

    def built_problems(self) -> list[str]:
        return []  # whatever it may be asked for it can be

    def build(self, stream: Mode, labels: Sequence[str], start: Start | None) -> Any:
        return build_stream(self.config.network, stream, labels, self.config.input.size, start)

    def build_bare(self, stream: Mode, labels: Sequence[str]) -> Any:
        return self.build(stream, labels, None)

    def set_trainable(self, model: Any, train_from: str) -> None:
        set_trainable(model, train_from, self.config.transfer.batch_norm)

    def front(self, stream: Mode, model: Any) -> Frozen:
        return named_front(model, stream, self.config.transfer.cache_at, self.examples.reader(stream))

    def head(self, model: Any, shape: tuple[int, ...]) -> Any:
        return head(model, self.config.transfer.cache_at, shape)


def build_stream(config: NetworkConfig, stream: Mode, labels: Sequence[str], size: int, start: Start | None) -> Any:
    """→ one stream: keras.Model from float clips (B, T, size, size, 3 or 2) to logits, with the weights of ``start``.

    Layers that ``start`` lacks, or has in another shape, keep their own start: gates as the identity, the rest at
    random. The output layer is taken over only where the class names are the same, in the same order.
    """
    model = build_i3d(_shape(config, stream, len(labels), size))
    if start is not None:
        copy_weights(model, start, keep_head=start.labels != tuple(labels))
    return model


def _shape(config: NetworkConfig, stream: Mode, classes: int, size: int) -> I3DConfig:
    options: dict[str, Any] = {
        "size_hw": (size, size),
        "gate_ratio": config.gate_ratio,
        "dropout": config.dropout,
        "channels": CHANNELS[stream],
        "hidden": config.hidden,
    }
    if config.depths:
        options |= {"depths": tuple(config.depths), "head_norm": True}
    if config.kind == LIGHT:
        return light_config(classes, **options)
    return I3DConfig(num_classes=classes, gate=GATES[config.kind], **options)


def cached_features(
    model: Any,
    stream: Mode,
    endpoint: str,
    wanted: Sequence[tuple[ClipRecord, int]],
    config: InputConfig,
    root: Path,
    progress: Progress,
) -> FeatureSet:
    """Run I3D up to ``endpoint`` for every (clip, draws) of ``wanted``; otherwise as ``features_of``."""
    reader = CropReader(config, stream)
    return features_of(named_front(model, stream, endpoint, reader), wanted, reader, root, progress)


def named_front(model: Any, stream: Mode, endpoint: str, reader: CropReader) -> Frozen:
    """→ the part up to ``endpoint``, named by it, by its weights, by the depths it averages and by the clips' shape."""
    part = front(model, endpoint)
    key = short_key(front_key(part), str(reader.shape), *cut.means_of(part))
    return Frozen(part, stream, f"{stream.value}-{endpoint}-{key}")


def front(model: Any, endpoint: str) -> Any:
    """→ keras.Model from the clip to ``endpoint``, after its gate (``cut.front``); weights are shared."""
    return cut.front(model, model.layers[behind(model, endpoint) - 1].name)


def head(model: Any, endpoint: str, input_shape: tuple[int, ...]) -> Any:
    """→ keras.Model from features of ``front``, each ``input_shape``, to logits; weights are shared."""
    last = model.layers[behind(model, endpoint) - 1].name
    if cut.means_of(model):
        return cut.head(model, last, input_shape)
    inputs = keras.Input(input_shape, name="features", dtype="float32")
    x = inputs
    for layer in model.layers[behind(model, endpoint) :]:
        x = layer(x)
    return keras.Model(inputs, x, name=f"{model.name}_head")


def set_trainable(model: Any, train_from: str, batch_norm: BatchNorm) -> None:
    """Freeze everything but ``train_from`` to the logits, or the new layers. Raises TrainingError for another name."""
    first = _first_trained(model, train_from)
    for index, layer in enumerate(model.layers):
        new = train_from == NEW_LAYERS and is_new(layer)
        layer.trainable = new or index >= first
        for unit in _units(layer):
            unit.norm.trainable = layer.trainable and batch_norm is BatchNorm.TRAINED


def endpoint_order(name: str) -> int:
    """Place of an endpoint in the network: ``all`` before the first, ``new`` after the last. Raises TrainingError."""
    if name == ALL_LAYERS:
        return -1
    order = (*ENDPOINTS, NEW_LAYERS)
    if name not in order:
        raise TrainingError(f"no endpoint is called {name!r}; there are {', '.join((ALL_LAYERS, *order))}")
    return order.index(name)


def behind(model: Any, endpoint: str) -> int:
    """Index of the first layer behind ``endpoint`` and its gate."""
    names = [layer.name for layer in model.layers]
    gate = f"{endpoint}_se"
    return names.index(gate if gate in names else endpoint) + 1


def _first_trained(model: Any, train_from: str) -> int:
    if endpoint_order(train_from) < 0:
        return 0
    names = [layer.name for layer in model.layers]
    return names.index(train_from) if train_from in names else len(names)  # "new": by kind of layer, not by place


def _units(layer: Any) -> Iterator[Unit3D]:
    if isinstance(layer, Unit3D):
        yield layer
    elif isinstance(layer, Inception3D):
        yield from (unit for branch in layer.branches for unit in branch if isinstance(unit, Unit3D))
