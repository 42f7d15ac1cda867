"""What the values of options may be, and what a name on the command line means. Wrong values are usage errors."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.errors import CardError
from models.weights.cards import CARD_FILE
from service.settings import Settings
from service.versions.pointer import Pointers

SPLITS = ("train", "val", "test")


def positive(text: str) -> int:
    """→ a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """``A, B`` → ("A", "B")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def model_folder(settings: Settings, name: str) -> Path:
    """``name`` as people type it, of a folder with a card or of one in the weights directory → the folder, absolute.

    An alias means the version that serves.

    Raises CardError for a name without letters, and for a folder that is none of the two.
    """
    if not name.strip():
        raise CardError(f"expected the name of a model, or its folder, got {name!r}")
    path = Path(name)
    if (path / CARD_FILE).is_file():
        return path.resolve()
    if len(path.parts) > 1 and not (settings.weights_dir / path).is_dir():
        raise CardError(f"{path / CARD_FILE} does not exist: expected the name of a model, or its folder, got {name!r}")
    return settings.weights_dir.resolve() / Pointers.of(settings).serving(name)
