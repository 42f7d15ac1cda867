"""``actoscope dataset balance``: as many clips of every class, by repeating or leaving out rows of the manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.balance import BalanceConfig, Resample, balance_dataset, restore
from models.data.manifest import Split
from models.data.tracks.clips import refresh_lists
from service.commands.dataset.stats import show_stats
from service.commands.options import SPLITS, positive


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="a data set's folder")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--target", type=_target, help="clips per class, or min, median, mean or max of the classes'")
    what.add_argument("--undo", action="store_true", help="the whole manifest again")
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=("train",), help="(default train)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--only-over", dest="resample", action="store_const", const="over", help="leave nothing out")
    only.add_argument("--only-under", dest="resample", action="store_const", const="under", help="repeat nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(resample="both")


def _target(text: str) -> int | str:
    return text if text in ("min", "median", "mean", "max") else positive(text)


def run(arguments: argparse.Namespace) -> int:
    if arguments.undo:
        data = restore(arguments.data)
    else:
        splits = tuple(dict.fromkeys(Split(name) for name in arguments.splits))
        config = BalanceConfig(arguments.target, splits, Resample(arguments.resample), arguments.seed)
        data = balance_dataset(arguments.data, config)
    refresh_lists(data)
    show_stats(data)
    return 0
