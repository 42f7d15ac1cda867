"""``actoscope dataset augment``: changed copies of clips until every class has enough."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.data.batches.augment_config import AugmentConfig
    from models.data.manifest import Dataset

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


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to ``actoscope dataset``."""
    augment = commands.add_parser("augment", help="write changed copies of clips until every class has enough")
    augment.add_argument("data", type=Path, help="a data set's folder")
    augment.add_argument("--per-class", type=int, required=True, help="clips of every class in each split")
    augment.add_argument(
        "--splits", nargs="+", choices=("train", "val", "test"), default=("train",), help="(default train)"
    )
    augment.add_argument("--seed", type=int, default=0)
    augment.add_argument(
        "--speed", type=float, nargs=2, metavar=("LOW", "HIGH"), help="playing speed (default 0.8 1.25)"
    )
    for name, meaning in _CHANCES.items():
        augment.add_argument(f"--{name}", type=float, metavar="P", help=f"share of copies: {meaning}")
    augment.add_argument("--quiet", action="store_true", help="no progress bar")
    augment.set_defaults(run=_augment)


def _augment(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm  # noqa: PLC0415 - commands load only what they need

    from models.data.batches.augment_dataset import OfflineConfig, augment_dataset  # noqa: PLC0415
    from models.data.manifest import Split, read_dataset  # noqa: PLC0415

    splits = tuple(Split(name) for name in dict.fromkeys(arguments.splits))
    config = OfflineConfig(arguments.per_class, splits, _augment_config(arguments), arguments.seed)
    dataset = read_dataset(arguments.data)
    with tqdm(unit="clip", disable=arguments.quiet, dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        augmented = augment_dataset(dataset, config, progress)
    _show(augmented, len(augmented.records) - len(dataset.records))
    return 0


def _augment_config(arguments: argparse.Namespace) -> AugmentConfig:
    from models.data.batches.augment_config import AugmentConfig  # noqa: PLC0415

    names = [name.replace("-", "_") for name in _CHANCES]
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.speed:
        given["speed"] = tuple(arguments.speed)
    return AugmentConfig(**given)


def _show(dataset: Dataset, written: int) -> None:
    from models.data.batches.augment_dataset import count_clips  # noqa: PLC0415

    print(f"{'split':<8}{'class':<24}{'own':>8}{'copies':>8}{'all':>8}")
    for (split, label), (own, copies) in count_clips(dataset).items():
        print(f"{split.value or '-':<8}{label or '-':<24}{own:>8}{copies:>8}{own + copies:>8}")
    print(f"{written} clips written → {dataset.folder}")
