"""Networks that a training knows by nothing but their layers: whatever the registry makes for crops.

What is named in a configuration is the name of a layer, features are cut where everything passes through one layer,
and the last layer with weights is the output.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from models.errors import CardError, ModelsError, TrainingError
from models.networks import registry
from models.training.config import ALL_LAYERS, NEW_LAYERS, BatchNorm, Mode, NetworkConfig, OptimizerConfig, TrainConfig
from models.training.crops import Crops
from models.training.feature_cache import Frozen, short_key
from models.training.kinds import cut
from models.training.trainable import Examples
from models.weights.cards import CARD_FILE, read_card
from models.weights.start import Start, copy_in_order, find_weights, output_layer


@dataclass(frozen=True)
class Layered:
    """Any network of the registry that reads crops (a ``Trainable``), and what ``Recurrent`` and ``Scene`` share."""

    config: TrainConfig
    output_layers: ClassVar[tuple[str, ...]] = ()

    @property
    def masks(self) -> bool:
        return False

    @property
    def examples(self) -> Examples:
        return Crops(self.config)

    @property
    def card_kind(self) -> str:
        return self.config.network.kind

    # ---- what is wrong ----

    def problems(self, weights: Path) -> Iterator[str]:
        network = self.config.network
        yield from self._foreign_fields()
        yield from self._start_problems(weights)
        from_scratch = not network.init and not network.options.get("weights")
        transfer = self.config.transfer
        if from_scratch and not transfer.cache_at and transfer.batch_norm is BatchNorm.FROZEN:
            yield (
                f"{network.kind} starts at random, so its batch normalisation must learn, too: transfer.batch_norm "
                "must be BatchNorm.TRAINED (transfer=FROM_SCRATCH is all that it takes)"
            )

    def _foreign_fields(self) -> Iterator[str]:
        """Fields that are set, and mean something for I3D only."""
        network, plain = self.config.network, NetworkConfig()
        for name in ("init_flow", "hidden", "dropout", "gate_ratio", "depths"):
            if getattr(network, name) != getattr(plain, name):
                yield f"network.{name} is for I3D; {network.kind} takes its own in network.options"
        if self.config.mode is not Mode.RGB:
            yield f"{network.kind} reads RGB; mode {self.config.mode.value} is for I3D"
        if self.config.optimizer.output_rate != OptimizerConfig().output_rate:
            yield "optimizer.output_rate is for I3D"

    def _start_problems(self, weights: Path) -> Iterator[str]:
        network = self.config.network
        if network.init == NetworkConfig().init:
            yield f"network.init {network.init!r} holds an I3D: {network.kind} needs init='' or weights of its own kind"
        elif network.init:
            yield from self._kind_problems(find_weights(network.init, weights))

    def _kind_problems(self, folder: Path) -> Iterator[str]:
        network = self.config.network
        if not (folder / CARD_FILE).is_file():
            return  # named with all other weights that are missing
        try:
            kind = read_card(folder).kind
        except CardError as error:
            yield f"network.init: {error}"
            return
        if not self._takes(kind):
            yield f"network.init {network.init!r} holds a {kind}, not a {network.kind}"

    def _takes(self, kind: str) -> bool:
        """Whether it can start from a weights folder of this kind."""
        return kind == self.config.network.kind

    def built_problems(self) -> list[str]:
        try:
            model = self.build_bare(Mode.RGB, ("one", "other"))
            self._check_options()
        except (ModelsError, ValueError, TypeError) as error:
            return [f"{self.config.network.kind} cannot be built: {error}"]
        return list(self._layer_problems(model))

    def _check_options(self) -> None:
        """Raises ValueError for options that a bare network does not use."""

    def _layer_problems(self, model: Any) -> Iterator[str]:
        names = [layer.name for layer in model.layers]
        cache, rows = self.config.transfer.cache_at, self.config.transfer.unfreeze
        for name in {cache, *(row.train_from for row in rows)} - {"", ALL_LAYERS, NEW_LAYERS, *names}:
            yield f"transfer: no layer is called {name!r}; there are {', '.join(self._shown_layers(model))}"
            return
        if not cache:
            return
        yield from self._cache_problems()
        place = names.index(cache)
        early = [
            row.train_from
            for row in rows
            if row.train_from == ALL_LAYERS or (row.train_from in names and names.index(row.train_from) <= place)
        ]
        if early:
            yield f"transfer: {', '.join(early)} lies in the part whose features are cached; set cache_at to ''"
        if not self._is_cut(model):
            yield f"transfer: not everything passes through {cache}, so features cannot be cached there"

    def _shown_layers(self, model: Any) -> list[str]:
        """→ names that a configuration may want."""
        return [layer.name for layer in model.layers]

    def _cache_problems(self) -> Iterator[str]:
        """Whether features may be cached where the configuration says."""
        yield from ()

    def _is_cut(self, model: Any) -> bool:
        """Whether what follows the cache needs nothing else."""
        try:
            cut.behind(model, self.config.transfer.cache_at)
        except ValueError:
            return False
        return True

    # ---- the network ----

    def build(self, stream: Mode, labels: Sequence[str], start: Start | None) -> Any:
        if start is None:
            return self._make(len(labels), self.config.network.options)
        model = self.build_bare(stream, labels)
        self._take_over(model, start, labels)
        return model

    def build_bare(self, stream: Mode, labels: Sequence[str]) -> Any:
        options = {name: value for name, value in self.config.network.options.items() if name != "weights"}
        return self._make(len(labels), options)

    def _make(self, classes: int, options: Mapping[str, Any]) -> Any:
        seen = self.config.input
        return registry.build(self.config.network.kind, classes, (seen.window.length, *seen.size_hw, 3), **options)

    def _take_over(self, model: Any, start: Start, labels: Sequence[str]) -> None:
        copy_in_order(model, start, keep_head=start.labels != tuple(labels))

    def set_trainable(self, model: Any, train_from: str) -> None:
        learning = {id(layer) for layer in self._learning(model, train_from)}
        for layer in model.layers:
            layer.trainable = id(layer) in learning
            for inner in layer._flatten_layers():
                if isinstance(inner, keras.layers.BatchNormalization):
                    trained = self.config.transfer.batch_norm is BatchNorm.TRAINED
                    inner.trainable = layer.trainable and trained

    def _learning(self, model: Any, train_from: str) -> list[Any]:
        if train_from == NEW_LAYERS:
            return self._new_layers(model)
        names = [layer.name for layer in model.layers]
        if train_from not in (ALL_LAYERS, *names):
            raise TrainingError(f"no layer is called {train_from!r}; there are {', '.join((ALL_LAYERS, *names))}")
        return list(model.layers) if train_from == ALL_LAYERS else list(model.layers[names.index(train_from) :])

    def _new_layers(self, model: Any) -> list[Any]:
        return [output_layer(model)]

    def front(self, stream: Mode, model: Any) -> Frozen:
        network, endpoint = self.config.network, self.config.transfer.cache_at
        part = cut.front(model, endpoint)
        shape = str(self.examples.reader(stream).shape)
        if len(part.layers) == 1:  # the input: augmented clips, which every network shares
            return Frozen(part, stream, f"{stream.value}-{endpoint}-{short_key(shape)}")
        made = f"{network.kind} {sorted(network.options.items())}"
        key = short_key(content(part), made, shape, *cut.means_of(part))
        return Frozen(part, stream, f"{network.kind}-{endpoint}-{key}")

    def head(self, model: Any, shape: tuple[int, ...]) -> Any:
        return cut.head(model, self.config.transfer.cache_at, shape)


def content(model: Any) -> str:
    """Hash of every weight's value, whatever their names."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(str(tuple(weight.shape)).encode())
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()
