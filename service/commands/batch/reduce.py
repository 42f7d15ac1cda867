"""``actoscope batch reduce``: the folds side by side, and all their held-out clips together."""

from __future__ import annotations

import argparse

from models.store.opening import open_store
from models.training.batch.reduce import SUMMARY_FILE, reduce_folds, table
from service.commands.options import positive
from service.commands.printing import say, show_table
from service.commands.store_place import place
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=place, required=True, help="of the run, as `batch run` was told")
    parser.add_argument("--folds", type=positive, required=True, help="how many there are")


def run(arguments: argparse.Namespace) -> int:
    """Raises TrainingError where folds are missing, StoreError."""
    store = open_store(arguments.output, load_settings().s3_endpoint)
    show_table(list(table(reduce_folds(store, arguments.folds))))
    say(f"{arguments.output}/{SUMMARY_FILE}")
    return 0
