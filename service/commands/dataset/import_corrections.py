"""``actoscope dataset import-corrections``: what people corrected in the service → a data set to train on."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.imports.corrections_dataset import make_dataset
from service.commands.options import names


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corrections", type=Path, help="the folder `corrections` of the service's data folder")
    parser.add_argument("--output", type=Path, required=True, help="folder of the data set, which must not be there")
    parser.add_argument("--classes", type=names, default=(), metavar="A,B,…", help="the classes in their order")
    parser.add_argument("--description", default="", help="origin and licence of the videos, for the model's card")


def run(arguments: argparse.Namespace) -> int:
    made = make_dataset(arguments.corrections, arguments.output, arguments.classes, arguments.description)
    for reason, count in sorted(made.left_out.items()):
        print(f"left out, {reason}: {count}")
    print(f"{len(made.dataset.records)} clips → {made.dataset.folder}")
    print(f"no split yet: `actoscope dataset split {made.dataset.folder}` makes one, which keeps groups together")
    return 0
