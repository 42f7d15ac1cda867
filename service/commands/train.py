"""``actoscope train``: teach a network the classes of a data set."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from models.errors import TrainingError
from models.training.config import load_config
from models.training.read_data import read_data
from service.commands.progress import ProgressBar
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="Python file with CONFIG = TrainConfig(…)")
    parser.add_argument(
        "--data", type=Path, help="data set, or working folder for scenes (default: the configuration's)"
    )
    parser.add_argument("--output", type=Path, help="weights folder to write (default: NAME in the weights directory)")
    parser.add_argument("--run-folder", type=Path, help="folder of checkpoints and logs (default: runs/NAME)")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"), help="folder of cached features")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted training stopped")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config)
    folder = arguments.data or (Path(config.dataset) if config.dataset else None)
    if folder is None:
        raise TrainingError(f"{arguments.config} names no data set: give --data DIR")
    data, weights = read_data(config, folder), load_settings().weights_dir
    from models.training.run.train import Places, Teller, train  # noqa: PLC0415 - seconds, which a mistake need not take

    output, run = arguments.output or weights / config.name, arguments.run_folder or Path("runs") / config.name
    places = Places(output, run, arguments.cache, weights)
    with ProgressBar("it", arguments.quiet, stays=False) as bar:
        train(config, data, places, Teller(bar.step, bar.say), command_line(arguments), arguments.resume)
    return 0


def command_line(arguments: argparse.Namespace) -> str:
    """The command as it goes on the card: no absolute folders of the machine it ran on."""
    words = ["actoscope", "train", _short(arguments.config)]
    words += ["--data", _short(arguments.data)] if arguments.data else []
    return shlex.join(words)


def _short(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
