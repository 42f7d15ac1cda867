"""``actoscope weights list``: the networks in the weights directory, a line each, parted by tabs."""

from __future__ import annotations

import argparse
import sys

from models.weights.pretrained import list_models
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_arguments: argparse.Namespace) -> int:
    folder = load_settings().weights_dir
    cards = list_models(folder)
    for card in cards:
        print(f"{card.name}\t{len(card.labels)} labels\t{card.kind}")
    if not cards:
        print(f"no networks in {folder}; `actoscope weights pull i3d-kinetics400` fetches one", file=sys.stderr)
    return 0
