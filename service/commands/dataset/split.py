"""``actoscope dataset split``: train, val and test, with nothing of one group in two of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.data.balance import refuse_balanced
from models.data.leaks import check_leaks
from models.data.manifest import ClipRecord, Split, read_dataset, write_dataset
from models.data.split import GroupBy, SplitConfig, missing_classes, split, take_fold
from models.data.tracks.clips import refresh_lists
from models.errors import DatasetError
from service.commands.dataset.duplicates import add_hashing, check_hashing, report_duplicates
from service.commands.dataset.stats import show_stats
from service.commands.options import SPLITS, positive


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="a data set's folder")
    for name, default in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        parser.add_argument(f"--{name}", type=float, default=default, help=f"share (default {default:g})")
    parser.add_argument("--by", choices=("group", "video", "person"), default="group", help="what stays together")
    parser.add_argument("--of", nargs="+", choices=SPLITS, default=(), help="only split these anew; others stay")
    parser.add_argument("--folds", type=positive, help="cross-validation: this many equal folds …")
    parser.add_argument("--fold", type=positive, help="… of which this one (from 1) becomes val, the others train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="change nothing, only look for leaks and near-duplicates")
    parser.add_argument("--no-duplicates", action="store_true", help="do not look for near-duplicates afterwards")
    add_hashing(parser)


def run(arguments: argparse.Namespace) -> int:
    if not arguments.no_duplicates:
        check_hashing()  # before anything is written
    data = read_dataset(arguments.data)
    if arguments.check:
        check_leaks(data.records)
    else:
        refuse_balanced(arguments.data)
        data = replace(data, records=_new_splits(data.records, arguments))
        write_dataset(data)
        refresh_lists(data)
    show_stats(data)
    used = [each for each in Split if each is not Split.NONE and data.of(each)]
    for line in missing_classes(data.records, used):
        print(line)
    return 0 if arguments.no_duplicates else report_duplicates(data, arguments, across_splits=True)


def _new_splits(records: Sequence[ClipRecord], arguments: argparse.Namespace) -> tuple[ClipRecord, ...]:
    if (arguments.folds is None) != (arguments.fold is None):
        raise DatasetError("expected --folds and --fold together")
    shares = {Split(name): getattr(arguments, name) for name in SPLITS}
    of = tuple(Split(name) for name in arguments.of)
    config = SplitConfig(shares, arguments.seed, GroupBy(arguments.by), of)
    if arguments.folds is not None:
        return take_fold(records, arguments.folds, arguments.fold - 1, config)
    return split(records, config)
