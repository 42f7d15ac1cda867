"""What ``evaluate`` and ``compare`` have in common: on which clips a model is judged, and how."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.classifier import ActionClassifier
from models.data.manifest import Split, read_dataset
from models.evaluation.clips_and_videos import ClipsJob
from models.evaluation.figures.predictions import Views
from models.evaluation.judge import JudgeConfig
from service.commands.options import SPLITS, names
from service.commands.printing import say
from service.commands.runtime_option import add_runtime
from service.configuration import EngineConfig
from service.engine import load_classifier
from service.settings import load_settings


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", choices=SPLITS, default="val", help="default: val")
    parser.add_argument(
        "--classes",
        type=names,
        action="append",
        default=[],
        metavar="A,B,…",
        help="judge also among these classes alone; may be given several times",
    )
    parser.add_argument("--flip", action="store_true", help="average each clip with its mirror image")
    parser.add_argument("--windows", type=int, choices=(1, 2, 3), default=1, help="windows of a longer clip to average")
    parser.add_argument("--real", type=int, metavar="N", help="show N pictures of each clip at most, back and forth")
    parser.add_argument("--output", type=Path, help="where results go (default: evaluations/MODEL)")
    add_runtime(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def clips_job(arguments: argparse.Namespace, output: Path, worst: int = 0) -> ClipsJob:
    """``worst``: how many mistakes to show."""
    views = Views(arguments.windows, arguments.flip, arguments.real)
    judging = JudgeConfig(tuple(arguments.classes), worst, seed=arguments.seed)
    return ClipsJob(read_dataset(arguments.data), output, Split(arguments.split), views, judging)


def tell_missing(labels: Sequence[str], split: str) -> None:
    """Says which classes no figure is about: the macro F1 is over the others."""
    if labels:
        say(f"no clip of {', '.join(labels)} in the split {split}: not in the macro F1")


def loaded(folder: Path, arguments: argparse.Namespace) -> ActionClassifier:
    """The network of a weights folder, as the service would run it."""
    config = EngineConfig.from_settings(load_settings(), model=str(folder), runtime=arguments.runtime)
    return load_classifier(config, config.model)
