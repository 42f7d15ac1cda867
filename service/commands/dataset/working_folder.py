"""What the steps after ``extract`` share: the table of labels, and how tracks are cut into examples."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.tracks.group import GroupConfig
from models.data.tracks.labels_csv import LABELS_FILE, LabelRow, read_labels


def add_work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("work", type=Path, help="working folder of `extract`")


def labels_table(work: Path) -> tuple[LabelRow, ...] | None:
    """None where there is none."""
    path = work / LABELS_FILE
    return read_labels(path) if path.exists() else None


def add_grouping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--length", type=int, default=64, help="samples of a full example (64)")
    parser.add_argument("--longest", type=int, default=80, help="samples of the longest example (80)")
    parser.add_argument("--shortest", type=int, default=8, help="samples below which a piece is left out (8)")
    parser.add_argument("--rate", type=float, default=25.0, help="samples a second of media time (25)")
    parser.add_argument("--native", action="store_true", help="take every frame instead")
    parser.add_argument("--gap", type=float, default=1.0, help="seconds of loss that split an example (1)")


def grouping_of(arguments: argparse.Namespace, *, whole: bool = False) -> GroupConfig:
    rate_hz = None if arguments.native else arguments.rate
    return GroupConfig(arguments.length, arguments.longest, arguments.shortest, rate_hz, arguments.gap, whole)
