"""``actoscope dataset pull``: what was pushed, checked file by file."""

from __future__ import annotations

import argparse
from pathlib import Path

from service.commands.progress import ProgressBar
from service.commands.store_place import place, pull_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", type=place, help="what `dataset push`, `train` or `batch run` printed")
    parser.add_argument("data", type=Path, help="folder to make; what is there already is not fetched again")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    """Raises StoreError."""
    with ProgressBar("B", arguments.quiet, stays=False) as bar:
        count = pull_folder(arguments.address, arguments.data, bar)
        bar.say(f"{arguments.data}: {count} files")
    return 0
