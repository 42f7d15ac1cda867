"""Which networks and labels there are, and what can be counted: read from disk, without loading any network."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from models.weights.cards import ModelCard, light_card, list_models
from pipeline.errors import DetectorError
from pipeline.form.exercises import AUTO, Overrides
from pipeline.pose import find_pose_weights
from service.configuration import read_form
from service.errors_base import InvalidRequest, Wrong, invalid, shown
from service.versions.names import VersionName, is_pinned
from service.versions.pointer import Pointers

if TYPE_CHECKING:
    from service.settings import Settings


class Catalogue:
    """Looks at the folder each time, so that a network pulled meanwhile is there."""

    def __init__(self, weights_dir: Path, default: str, pointers: Pointers) -> None:
        self._weights_dir = weights_dir
        self._pointers = pointers
        self.default = default

    @classmethod
    def of(cls, settings: Settings) -> Catalogue:
        return cls(settings.weights_dir, settings.model, Pointers.of(settings))

    async def cards(self) -> dict[str, ModelCard]:
        """→ by what a stream may name as its model, the card of what answers for it now.

        That is the version that serves for an alias, and each further version by its own name (``surveillance@2``).
        """
        return await asyncio.to_thread(self._cards)

    def _cards(self) -> dict[str, ModelCard]:
        folders = {card.folder.name: card for card in list_models(self._weights_dir)}
        first = {f"{VersionName.parse(name).alias}@1" for name in folders if is_pinned(name)}
        names = {*folders, *(name for name in first if VersionName.parse(name).alias in folders)}
        return {name: folders.get(self.serving(name)) or folders[name] for name in sorted(names)}

    async def aliases(self) -> dict[str, ModelCard]:
        """→ the same without versions by their own names."""
        return {name: card for name, card in (await self.cards()).items() if not is_pinned(name)}

    def serving(self, model: str) -> str:
        """→ the version that answers for a stream's model now."""
        return self._pointers.serving(model)

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


def check_form(choice: str | None, overrides: Overrides | None, settings: Settings) -> None:
    """Raises InvalidRequest for an exercise that cannot be counted: wrong thresholds, no pose network."""
    if choice is None and overrides is None:
        return
    try:
        read_form(choice or AUTO, settings.exercise_rules, overrides)
    except ValueError as error:
        raise invalid("form", str(error).removeprefix("expected "), overrides) from None
    try:
        if choice is not None:
            find_pose_weights(settings.pose_weights, settings.weights_dir)
    except DetectorError as error:
        raise invalid("exercise", f"null, or a pose network beside it: {error}", choice) from None
