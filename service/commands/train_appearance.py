"""``actoscope train-appearance``: make the network that tells people apart, ``weights/appearance``, from videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.detector import DetectorConfig, PersonDetector
from service.commands.card_command import typed_command
from service.commands.printing import say

DATA_TEXT = (
    "People of 'Surveillance Camera Fight' (Aktı, Tataroğlu, Ekenel 2019; MIT), train groups to learn from, val groups "
    "for choosing; of two Intel sample videos (CC BY 4.0) and a walking video (Apache-2.0 repository). Who is who by "
    "tracks of detected boxes. PETS09-S2L1 and the sequences of MOTChallenge were neither trained nor chosen on."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "People cut out of videos, a re-identification network as teacher and start, its form at a smaller input, and "
        "training of its end. An interrupted run goes on where it stopped."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with clips.csv and mot/, as train-person")
    parser.add_argument("--teacher", type=Path, required=True, help="person-reidentification-retail-0288.xml or -0287")
    parser.add_argument("--output", type=Path, default=Path("weights/appearance"), help="default: weights/appearance")
    parser.add_argument("--work", type=Path, default=Path("data/train-appearance"), help="steps so far are kept here")
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more videos to learn from, without tracks")
    parser.add_argument("--detector", type=Path, help="finds people in those; default: weights/person")
    parser.add_argument("--data-text", default=DATA_TEXT, help="origin and licence of the videos, for the card")
    parser.add_argument("--frames", type=int, default=8, help="of each video")
    parser.add_argument("--height", type=int, default=160, help="of the input, a multiple of 32; it is half as wide")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)


def run(arguments: argparse.Namespace) -> int:
    from models.appearance_training import making, training  # noqa: PLC0415 - brings torch, which help need not wait for

    tuning = training.Tuning(arguments.epochs, arguments.batch, arguments.learning_rate, seed=arguments.seed)
    recipe = making.AppearanceRecipe(
        arguments.data,
        arguments.teacher,
        arguments.work,
        tuple(arguments.extra),
        arguments.frames,
        (arguments.height, arguments.height // 2),
        tuning,
    )
    texts = making.CardTexts(arguments.data_text, command_line(arguments))

    def detector() -> PersonDetector:
        return PersonDetector.load(arguments.detector, DetectorConfig(weights_dir=Path("weights"), device="cpu"))

    card = making.make(recipe, detector, arguments.output, texts, say)
    print(f"{arguments.output / 'appearance.xml'} ({card.metrics.right:.3f} of the people kept out told right)")
    return 0


def command_line(arguments: argparse.Namespace) -> str:
    paths = ("data", "teacher", "extra", "detector")
    numbers = ("frames", "height", "epochs", "batch", "learning_rate", "seed")
    return typed_command("train-appearance", arguments, paths, numbers)
