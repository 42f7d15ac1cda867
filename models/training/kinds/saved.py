"""The very network of a weights folder, whatever it is made of, that learns on: what a retrained version starts from.

It is not built anew from a configuration, so hidden nodes, gates and options come along without being named. It keeps
its labels; layers are known by name, as those of ``Layered``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from models.errors import ModelsError, TrainingError
from models.networks.cnn_rnn import KINDS as RECURRENT
from models.training.config import Mode
from models.training.kinds.layered import Layered
from models.weights.cards import ModelCard, read_card
from models.weights.saved_network import load_network
from models.weights.start import Start, output_layer

SAVED = "saved"


class Saved(Layered):
    """``network.init`` is the folder itself, as a path: a bare network is read from it as well."""

    @property
    def card_kind(self) -> str:
        return self._card().kind

    def problems(self, weights: Path) -> Iterator[str]:
        yield from self._foreign_fields()
        try:
            card = self._card()
        except ModelsError as error:
            yield f"network.init: {error}"
            return
        if card.input.kind != "crops" or card.kind in RECURRENT:
            yield f"{card.name} is a {card.kind} of {card.input.kind}, whose features are not kept one by one"

    def build(self, stream: Mode, labels: Sequence[str], start: Start | None) -> Any:
        return self.build_bare(stream, labels)

    def build_bare(self, stream: Mode, labels: Sequence[str]) -> Any:
        card = self._card()
        if card.labels != tuple(labels):
            raise TrainingError(f"{card.name} knows {', '.join(card.labels)}; got data of {', '.join(labels)}")
        return load_network(card)

    def built_problems(self) -> list[str]:
        try:
            return list(self._layer_problems(load_network(self._card())))
        except ModelsError as error:
            return [str(error)]

    def _card(self) -> ModelCard:
        return read_card(Path(self.config.network.init))


def before_output(model: Any) -> str:
    """→ the name of the layer whose output all that follows needs, the last before what makes the logits.

    Raises TrainingError where the output layer reads several things at once.
    """
    inputs = keras.tree.flatten(output_layer(model).input)
    layer = inputs[0]._keras_history.operation
    while isinstance(layer, keras.layers.Dropout):
        inputs = keras.tree.flatten(layer.input)
        layer = inputs[0]._keras_history.operation
    if len(inputs) != 1:
        raise TrainingError(f"{model.name}: {output_layer(model).name} reads {len(inputs)} features, expected one")
    return str(layer.name)
