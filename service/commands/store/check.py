"""``actoscope store check``: what a store can do, and what of recordings waits for it."""

from __future__ import annotations

import argparse

from models.store.address import Address, Place, parse_place
from models.store.check import check_store
from service.commands.audit.stored import NoDatabase, with_database
from service.commands.exit_status import EXIT_FAILED
from service.commands.printing import say, show_table
from service.commands.store_place import add_store, open_named
from service.settings import load_settings
from service.storage.objects import ObjectStore
from service.wire_messages import rfc3339

_MB = 1e6


def add_options(parser: argparse.ArgumentParser) -> None:
    add_store(parser, "store", nargs="?")


def run(arguments: argparse.Namespace) -> int:
    """Raises StoreError where there is no store at all."""
    place, store = open_named(arguments.store)
    outcomes = list(check_store(store))
    rows = [(outcome.what, outcome.words or "yes") for outcome in outcomes]
    show_table([*rows, *_of_recordings(place)], heading=False)
    failed = sum(bool(outcome.words) for outcome in outcomes)
    say(f"{place}: {f'{failed} of {len(outcomes)} cannot be done' if failed else 'all can be done'}")
    return EXIT_FAILED if failed else 0


def _of_recordings(place: Place) -> list[tuple[str, str]]:
    """→ what waits by the service's database; nothing where its recordings do not go there, or it has never run.

    Raises StoreError (the database's).
    """
    setting = load_settings().store
    if not isinstance(place, Address) or not setting or parse_place(setting) != place:
        return []
    try:
        waiting = with_database(lambda database: ObjectStore(database).waiting())
    except NoDatabase:
        return []
    since = "" if waiting.oldest is None else f" ({waiting.bytes / _MB:.1f} MB), since {rfc3339(waiting.oldest)}"
    return [
        ("files of recordings that wait for it", f"{waiting.files}{since}"),
        ("deletions that wait for it", f"{waiting.deletions}"),
        ("files of recordings that are missing", f"{waiting.missing}"),
    ]
