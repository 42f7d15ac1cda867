"""Which networks and labels there are: read from the weights folder, without loading any network."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from models.weights.cards import ModelCard, light_card, list_models
from service.errors_base import InvalidRequest, Wrong, invalid, shown


class Catalogue:
    """Looks at the folder each time, so that a network pulled meanwhile is there."""

    def __init__(self, weights_dir: Path, default: str) -> None:
        self._weights_dir = weights_dir
        self.default = default

    async def cards(self) -> dict[str, ModelCard]:
        cards = await asyncio.to_thread(list_models, self._weights_dir)
        return {card.folder.name: card for card in cards}

    async def check(self, model: str, actions: Mapping[str, float] | None, tier: str = "auto") -> None:
        """Raises InvalidRequest for an unknown network, one without the tier asked for, or labels it does not know.

        It names labels that are alike.
        """
        cards = await self.cards()
        if model not in cards:
            known = ", ".join(cards) or "none: train one, or fetch one with `actoscope weights pull i3d-kinetics400`"
            raise invalid("model", f"one of the networks in the weights folder ({known})", model)
        if tier == "light" and light_card(cards[model]) is None:
            raise invalid("tier", f"auto or full: {model} has no lighter network", tier)
        labels = cards[model].labels
        errors = [_unknown_label(label, labels) for label in actions or () if label not in labels]
        if actions is not None and not actions:
            raise invalid("actions", "at least one label, or null for every label", "{}")
        if errors:
            raise InvalidRequest(errors)


def _unknown_label(label: str, labels: Iterable[str]) -> Wrong:
    by_lower = {known.lower(): known for known in labels}
    close = [by_lower[name] for name in difflib.get_close_matches(label.lower(), by_lower, n=3, cutoff=0.5)]
    expected = f"a label such as {', '.join(map(repr, close))}" if close else "a label of the network (see /v1/models)"
    return Wrong(f"actions.{shown(label)}", expected, shown(label))
