"""``actoscope dataset augment``: changed copies of clips until every class has enough."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.batches.augment_config import AugmentConfig
from models.data.manifest import Split, read_dataset
from service.commands.options import SPLITS
from service.commands.printing import show_table
from service.commands.progress import ProgressBar

_CHANCES = {
    "flip": "mirrored left to right",
    "crop": "another size, shape and place of the box",
    "colour": "brightness, contrast, saturation, hue",
    "grey": "no colour",
    "blur": "out of focus or in motion",
    "low-light": "dark, with a sensor's grain",
    "downscale": "fewer pixels, as a far person has",
    "compression": "JPEG artefacts",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="a data set's folder")
    parser.add_argument("--per-class", type=int, required=True, help="clips of every class in each split")
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=("train",), help="(default train)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--speed", type=float, nargs=2, metavar=("LOW", "HIGH"), help="playing speed (default 0.8 1.25)"
    )
    for name, meaning in _CHANCES.items():
        parser.add_argument(f"--{name}", type=float, metavar="P", help=f"share of copies: {meaning}")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    from models.data.batches import augment_dataset as copies  # noqa: PLC0415 - albumentations is an extra and takes long

    splits = tuple(Split(name) for name in dict.fromkeys(arguments.splits))
    config = copies.OfflineConfig(arguments.per_class, splits, _augment_config(arguments), arguments.seed)
    dataset = read_dataset(arguments.data)
    with ProgressBar("clip", arguments.quiet) as bar:
        augmented = copies.augment_dataset(dataset, config, bar)
    rows: list[tuple[object, ...]] = [("split", "class", "own", "copies", "all")]
    for (split, label), (own, made) in copies.count_clips(augmented).items():
        rows.append((split.value or "-", label or "-", own, made, own + made))
    show_table(rows, least=(8, 24, 8, 8, 8), gap="")
    print(f"{len(augmented.records) - len(dataset.records)} clips written → {augmented.folder}")
    return 0


def _augment_config(arguments: argparse.Namespace) -> AugmentConfig:
    names = [name.replace("-", "_") for name in _CHANCES]
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.speed:
        given["speed"] = tuple(arguments.speed)
    return AugmentConfig(**given)
