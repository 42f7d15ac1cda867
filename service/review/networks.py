"""The network behind an event: its card, and which labels it knows."""

from __future__ import annotations

from collections.abc import Mapping

from models.weights.cards import ModelCard


def card_of(model: str | None, cards: Mapping[str, ModelCard]) -> ModelCard | None:
    """→ of this version (``surveillance@2``), else of the model that it is a version of; None where both are gone."""
    name = model or ""
    return cards.get(name) or cards.get(name.partition("@")[0])


def labels_of(model: str | None, cards: Mapping[str, ModelCard]) -> tuple[str, ...]:
    """→ those of an event's network; where it is gone, those of all."""
    card = card_of(model, cards)
    if card is not None:
        return card.labels
    return tuple(dict.fromkeys(label for each in cards.values() for label in each.labels))
