"""``actoscope store check``: what a store can do."""

from __future__ import annotations

import argparse

from models.store.check import check_store
from service.commands.exit_status import EXIT_FAILED
from service.commands.printing import say, show_table
from service.commands.store_place import add_store, open_named


def add_options(parser: argparse.ArgumentParser) -> None:
    add_store(parser, "store", nargs="?")


def run(arguments: argparse.Namespace) -> int:
    """Raises StoreError where there is no store at all."""
    place, store = open_named(arguments.store)
    outcomes = list(check_store(store))
    show_table([(outcome.what, outcome.words or "yes") for outcome in outcomes], heading=False)
    failed = sum(bool(outcome.words) for outcome in outcomes)
    say(f"{place}: {f'{failed} of {len(outcomes)} cannot be done' if failed else 'all can be done'}")
    return EXIT_FAILED if failed else 0
