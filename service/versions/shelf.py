"""The versions of each model in the weights folder: ``<alias>/`` is the first, ``<alias>@<n>/`` the n-th.

A version's folder is not changed any more. Beside what every weights folder holds there may be ``gate.json``: what
the comparison with the version before it found.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import CardError
from models.weights.cards import CARD_FILE, ModelCard, list_models, read_card
from service.versions.names import VersionName, is_pinned

log = logging.getLogger(__name__)

GATE_FILE = "gate.json"
MAX_GATE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version. ``gate``: the content of ``gate.json``, None where there is none; ``created_at``: Unix time."""

    name: VersionName
    card: ModelCard
    created_at: float
    gate: Mapping[str, Any] | None

    @property
    def passed(self) -> bool:
        return self.gate is not None and self.gate.get("passed") is True

    @property
    def parent(self) -> str | None:
        """The version that it was compared with; cards of other origin name none."""
        return getattr(self.card, "parent", None) or None

    @property
    def corrections(self) -> int | None:
        """How many corrections it learnt from."""
        told = getattr(self.card, "corrections", None)
        return told if isinstance(told, int) else None


def aliases(cards: Mapping[str, ModelCard]) -> list[str]:
    """Folders' names → those that are no further version of another."""
    return [name for name in cards if not is_pinned(name)]


def versions_of(weights_dir: Path, alias: str) -> list[VersionFacts]:
    """→ the readable versions of an alias, newest first."""
    names = {VersionName.parse(card.folder.name): card for card in list_models(weights_dir)}
    found = [_facts(name, card) for name, card in names.items() if name.alias == alias]
    return sorted(found, key=lambda each: each.name.number, reverse=True)


def find_version(weights_dir: Path, name: VersionName) -> VersionFacts:
    """Raises CardError for one that is not there or cannot be read."""
    return _facts(name, read_card(weights_dir / str(name)))


def _facts(name: VersionName, card: ModelCard) -> VersionFacts:
    try:
        created_at = (card.folder / CARD_FILE).stat().st_mtime
    except OSError as error:
        raise CardError(f"{card.folder} cannot be read: {error}") from error
    return VersionFacts(name, card, created_at, read_gate(card.folder))


def read_gate(folder: Path) -> Mapping[str, Any] | None:
    """→ what the gate found; None where it was not asked. One that cannot be read is one that did not pass."""
    path = folder / GATE_FILE
    try:
        if path.stat().st_size > MAX_GATE_BYTES:
            raise ValueError("it is too large")
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"expected an object, got {type(content).__name__}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.error("%s cannot be read: %s", path, error)
        return {"passed": False, "checks": [], "missing": [f"{GATE_FILE} cannot be read"]}
    return content
