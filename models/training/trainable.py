"""What a training asks of a network. ``networks.trainable`` picks who answers; ``kinds`` has one file for each.

A network is known by its layers: whatever a configuration names is the name of one, or one of the words ``new`` and
``all``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from models.data.manifest import ClipRecord, Dataset
from models.training.config import Mode
from models.training.data import FeatureSource, Source
from models.training.feature_cache import ClipReader, FeatureSet, Frozen
from models.weights.start import Start


class Examples(Protocol):
    """What a network of this kind learns from."""

    def problems(self, dataset: Dataset) -> Iterator[str]:
        """Whether the data set holds what the network reads, and ``config.input`` says only what these have."""

    def source(self, records: Sequence[ClipRecord], targets: Sequence[int], classes: int) -> Source:
        """→ batches of clips, for a network that trains as a whole."""

    def reader(self, stream: Mode) -> ClipReader:
        """→ what reads clips one by one for the frozen part."""

    def feature_source(
        self, features: Mapping[Mode, FeatureSet], records: Sequence[ClipRecord], targets: Sequence[int], classes: int
    ) -> FeatureSource:
        """→ batches of the frozen part's features, row i of which belongs to ``records[i]``."""


class Trainable(Protocol):
    """One kind of network under one configuration.

    ``masks``: whether it knows a mask over pictures that are not there. ``output_layers``: those that
    ``optimizer.output_rate`` is for. ``card_kind``: what its card calls it.
    """

    @property
    def examples(self) -> Examples: ...

    @property
    def masks(self) -> bool: ...

    @property
    def output_layers(self) -> tuple[str, ...]: ...

    @property
    def card_kind(self) -> str: ...

    def problems(self, weights: Path) -> Iterator[str]:
        """What the configuration alone shows; nothing is built. ``weights``: the directory of weights folders."""

    def built_problems(self) -> list[str]:
        """What shows when the network is built (at random): shapes and options that it cannot have, layers' names."""

    def build(self, stream: Mode, labels: Sequence[str], start: Start | None) -> Any:
        """→ one stream: keras.Model to logits, with the weights of ``start``.

        Raises TrainingError where they do not fit, ValueError for options that the network does not take, PullError
        where weights that the options ask for cannot be fetched.
        """

    def build_bare(self, stream: Mode, labels: Sequence[str]) -> Any:
        """→ the same network at random, for weights to be set: nothing is read or fetched for it."""

    def set_trainable(self, model: Any, train_from: str) -> None:
        """Freeze everything but ``train_from`` to the logits, or the new layers. Raises TrainingError for another
        name.
        """

    def front(self, stream: Mode, model: Any) -> Frozen:
        """→ the part of ``model`` up to ``transfer.cache_at``, named for all that shapes its features."""

    def head(self, model: Any, shape: tuple[int, ...]) -> Any:
        """→ what comes behind features of ``shape``; weights are shared with ``model``."""
