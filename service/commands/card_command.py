"""The command that made a network, as its card tells it: what one would type, and nothing of the machine it ran on."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path


def typed_command(command: str, arguments: argparse.Namespace, paths: Sequence[str], numbers: Sequence[str]) -> str:
    """``paths``: arguments that hold a path, several, or none; absolute ones are reduced to their names."""
    words = ["actoscope", command]
    for name in paths:
        given = getattr(arguments, name)
        if given:
            words += [_option(name), *map(_short, given if isinstance(given, list) else [given])]
    for name in numbers:
        words += [_option(name), f"{getattr(arguments, name):g}"]
    return shlex.join(words)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _short(path: Path) -> str:
    return path.name if path.is_absolute() else path.as_posix()
