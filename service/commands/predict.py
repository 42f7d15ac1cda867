"""``actoscope predict``: what a network that sees whole pictures says of a video, in words and as a GIF."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from models.evaluation.whole_video import Answer, answers, gif
from pipeline.files import write_atomically
from service.commands.clip_options import loaded
from service.commands.options import model_folder, positive
from service.commands.printing import say, show_table
from service.commands.runtime_option import add_runtime
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="folder name in the weights directory, or a folder")
    parser.add_argument("video", type=Path, help="video file; its central square is looked at")
    parser.add_argument("--top", type=positive, default=5, metavar="N", help="classes to tell (default 5)")
    parser.add_argument(
        "--average", type=positive, default=8, metavar="N", help="windows whose answers are averaged (default 8)"
    )
    parser.add_argument("--gif", type=Path, help="write the video as a GIF with what was said of it up to then")
    add_runtime(parser)


def run(arguments: argparse.Namespace) -> int:
    network = loaded(model_folder(load_settings(), arguments.model), arguments)
    found: list[Answer] = []
    for answer in answers(network, arguments.video, arguments.average):
        found = [*found, answer] if arguments.gif else [answer]  # pictures are kept for a GIF alone
    _tell(found[-1], network.labels, arguments.top)
    if arguments.gif:
        arguments.gif.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(arguments.gif, gif(found, network.labels, network.card.input.rate_hz))
        say(arguments.gif)
    return 0


def _tell(answer: Answer, labels: tuple[str, ...], count: int) -> None:
    best = np.argsort(-answer.chances, kind="stable")[:count]
    show_table([(f"{answer.chances[place]:6.1%}", labels[place]) for place in best], heading=False)
