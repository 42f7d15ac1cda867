"""What the values of options may be. Each raises what argparse turns into a usage error."""

from __future__ import annotations

import argparse

SPLITS = ("train", "val", "test")


def positive(text: str) -> int:
    """→ a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """``A, B`` → ("A", "B")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
