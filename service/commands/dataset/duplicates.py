"""``actoscope dataset duplicates``: clips that look alike where they must not."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from models.data.manifest import Dataset, read_dataset
from models.data.near_duplicates import HashConfig, near_duplicates, write_pairs
from models.errors import DatasetError
from service.commands.options import positive
from service.commands.printing import SHOWN, show_failures
from service.commands.progress import ProgressBar


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="a data set's folder")
    parser.add_argument("--groups", action="store_true", help="compare different groups instead, split or not")
    add_hashing(parser)


def add_hashing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pictures", type=positive, default=5, help="pictures hashed of each clip (default 5)")
    parser.add_argument("--max-bits", type=int, default=12, help="of 64 that may differ in alike pictures (default 12)")
    parser.add_argument("--min-share", type=float, default=0.6, help="of a clip's pictures alike (default 0.6)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def check_hashing() -> None:
    """Raises DatasetError where the library for it is missing, which is an extra."""
    if find_spec("imagehash") is None:
        raise DatasetError(
            "looking for near-duplicates needs the package imagehash: pip install -e '.[train]', or --no-duplicates"
        )


def run(arguments: argparse.Namespace) -> int:
    return report_duplicates(read_dataset(arguments.data), arguments, across_splits=not arguments.groups)


def report_duplicates(data: Dataset, arguments: argparse.Namespace, *, across_splits: bool) -> int:
    """Looks for them with the options of ``add_hashing``, between splits or between groups; all go into a file.

    → the exit status: clips that cannot be read are told of.
    """
    failed: list[str] = []
    config = HashConfig(arguments.pictures, arguments.max_bits, arguments.min_share)
    with ProgressBar("clip", arguments.quiet) as bar:
        pairs = near_duplicates(data.records, data.folder, config, bar, across_splits, failed)
    path = write_pairs(data.folder, pairs)
    between = "splits" if across_splits else "groups"
    print(f"near-duplicates in different {between}: {len(pairs)} pairs" + (f" (all in {path})" if pairs else ""))
    for pair in pairs[:SHOWN]:
        sides = (
            f"{side.split.value} {side.group}: {side.path.relative_to(data.folder)}"
            for side in (pair.first, pair.second)
        )
        print(f"  {' ~ '.join(sides)} ({pair.share:.0%} of the pictures, {pair.bits} bits)")
    return show_failures("cannot be read", failed)
