"""Stores on the command line: how they are named, opened, filled and read, with a bar of bytes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import StoreError
from models.store.address import Place, below, parse_place, split
from models.store.opening import open_store
from models.store.protocol import Store
from models.store.trees import pull, push, survey
from service.commands.progress import ProgressBar
from service.settings import load_settings

MODELS, DATASETS = "models", "datasets"


def place(text: str) -> Place:
    """→ a folder or an address of S3; anything else is a usage error."""
    try:
        return parse_place(text)
    except StoreError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_store(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    parser.add_argument(
        name, type=place, metavar="STORE", help="s3://bucket/prefix, or a folder (default: ACTOSCOPE_STORE)", **options
    )


def open_named(named: Place | None) -> tuple[Place, Store]:
    """``named``, else what the setting says. Raises StoreError where neither does."""
    settings = load_settings()
    if named is None and not settings.store:
        raise StoreError("expected a store: name one (s3://bucket/prefix, or a folder), or set ACTOSCOPE_STORE")
    found = named or parse_place(settings.store)
    return found, open_store(found, settings.s3_endpoint)


def push_folder(to: Place, kind: str, name: str, folder: Path, bar: ProgressBar) -> Place:
    """→ where it lies: ``to/kind/name/<sha256>``."""
    store = open_store(to, load_settings().s3_endpoint)
    tree = survey(folder)
    return below(to, push(store, "/".join(filter(None, (kind, name))), folder, tree, _stepper(bar, f"push {name}")))


def pull_folder(address: Place, folder: Path, bar: ProgressBar) -> int:
    """→ how many files there are. ``address`` as ``push_folder`` gives it."""
    above, sha256 = split(address)
    store = open_store(above, load_settings().s3_endpoint)
    return len(pull(store, sha256, folder, _stepper(bar, f"pull {sha256[:12]}")).files)


def _stepper(bar: ProgressBar, what: str) -> Callable[[int, int], None]:
    return lambda done, total: bar.step(what, done, total)
