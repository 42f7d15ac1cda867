"""``actoscope dataset push``: a data set into a store, where its address is the hash of its content."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.manifest import read_dataset
from models.training.read_data import is_working_folder
from service.commands.progress import ProgressBar
from service.commands.store_place import DATASETS, add_store, open_named, push_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="a data set's folder, or the working folder for whole scenes")
    add_store(parser, "--to")
    parser.add_argument("--name", help="what it is called there (default: the folder's name)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    """Prints the address. Raises DatasetError, StoreError."""
    if not is_working_folder(arguments.data):
        read_dataset(arguments.data)  # what cannot be read here can be read nowhere
    to, _ = open_named(arguments.to)
    with ProgressBar("B", arguments.quiet, stays=False) as bar:
        bar.say(push_folder(to, DATASETS, arguments.name or arguments.data.resolve().name, arguments.data, bar))
    return 0
