"""``actoscope dataset oversample``: short examples, played back and forth."""

from __future__ import annotations

import argparse

from models.data.tracks.example_folders import EXAMPLES_FOLDER, oversample
from service.commands.dataset.working_folder import add_work
from service.commands.printing import show_failures, show_table
from service.commands.progress import ProgressBar


def add_options(parser: argparse.ArgumentParser) -> None:
    add_work(parser)
    parser.add_argument("--length", type=int, default=64, help="samples of a full example (64)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    failed: list[str] = []
    with ProgressBar("example", arguments.quiet, stays=False) as bar:
        extended, count = oversample(arguments.work / EXAMPLES_FOLDER, arguments.length, bar.step, failed)
    show_table([("examples", "extended", "long enough"), (count, extended, count - extended)])
    return show_failures("cannot be read", failed)
