"""``actoscope weights pull``: a published network, fetched and converted."""

from __future__ import annotations

import argparse

from models.weights.pretrained import pull
from service.commands.printing import say
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="for example i3d-kinetics400")


def run(arguments: argparse.Namespace) -> int:
    print(pull(arguments.name, load_settings().weights_dir, say))
    return 0
