"""``actoscope dataset stats``: how much of what is in a data set, as table and plots."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.manifest import Dataset, read_dataset
from models.data.stats import class_stats, stats_rows, write_stats
from models.data.stats_plots import write_plots
from service.commands.printing import show_table


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="a data set's folder")
    parser.add_argument("--no-plots", action="store_true", help="only the table")


def run(arguments: argparse.Namespace) -> int:
    data = read_dataset(arguments.data)
    show_stats(data)
    stats = class_stats(data)
    written = [write_stats(data.folder, stats_rows(stats))]
    if not arguments.no_plots:
        written += write_plots(data, stats)
    print(", ".join(map(str, written)))
    return 0


def show_stats(data: Dataset) -> None:
    """The table, which other steps show of what they have made."""
    show_table(stats_rows(class_stats(data)))
