"""``actoscope train``: teach a network the classes of a data set."""

from __future__ import annotations

import argparse
import shlex
from importlib import import_module
from pathlib import Path

from models.data.layouts.ready import LAYOUTS, make_ready
from models.data.manifest import DATASET_FILE, Dataset, Split, read_dataset
from models.data.stats import class_stats, stats_rows
from models.errors import TrainingError
from models.store.address import Address, Place
from models.training.config import TrainConfig, load_config
from models.training.read_data import read_data
from models.training.seed_config import SeedTraining, load_seed_config
from service.commands.printing import show_list, show_table
from service.commands.progress import ProgressBar
from service.commands.store_place import MODELS, place, pull_folder, push_folder
from service.settings import load_settings

_EVALUATE = "service.commands.evaluate"  # all of the pipeline, which a training does without


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", type=Path, nargs="?", metavar="CONFIG", help="Python file with CONFIG = TrainConfig(…)"
    )
    parser.add_argument(
        "--seed-config", type=Path, metavar="FILE", help="in the place of CONFIG: a forerunner's configuration file"
    )
    parser.add_argument(
        "--data",
        type=place,
        help="data set, or working folder for scenes, or the address of a pushed one (default: the configuration's)",
    )
    parser.add_argument(
        "--videos",
        type=Path,
        metavar="DIR",
        help="make the data set first, of these videos (in --data, or runs/NAME/data)",
    )
    parser.add_argument(
        "--layout", choices=tuple(LAYOUTS), default="folders", help="how --videos lie there (default: class/….mp4)"
    )
    parser.add_argument(
        "--output",
        type=place,
        help="weights folder to write (default: NAME in the weights directory); with s3://bucket/prefix that, and then "
        "a copy there, under its hash",
    )
    parser.add_argument("--run-folder", type=Path, help="folder of checkpoints and logs (default: runs/NAME)")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"), help="folder of cached features")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted training stopped")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    if (arguments.config is None) == (arguments.seed_config is None):
        raise TrainingError("expected a configuration: either CONFIG or --seed-config FILE")
    if arguments.seed_config is None:
        _train(arguments, load_config(arguments.config))
        return 0
    return _as_the_file_says(arguments, load_seed_config(arguments.seed_config))


def _as_the_file_says(arguments: argparse.Namespace, seed: SeedTraining) -> int:
    """Trains, tests, or both; what the command line names counts more than the file."""
    if not seed.is_training and not seed.is_testing:
        raise TrainingError(f"{arguments.seed_config} switches both train and test off: nothing is left to do")
    arguments.output = arguments.output or seed.output
    arguments.run_folder = arguments.run_folder or seed.run
    if arguments.data is None and arguments.videos is None and seed.data is not None:
        is_dataset = isinstance(seed.data, Address) or (seed.data / DATASET_FILE).is_file()
        arguments.data, arguments.videos = (seed.data, None) if is_dataset else (None, seed.data)
    folder = _train(arguments, seed.config, seed) if seed.is_training else _folder_of(arguments, seed.config)
    return _test(_output(arguments, seed.config), folder) if seed.is_testing else 0


def _train(arguments: argparse.Namespace, config: TrainConfig, seed: SeedTraining | None = None) -> Path:
    """→ the folder of the data set."""
    folder = _folder_of(arguments, config)
    data, weights = read_data(config, folder), load_settings().weights_dir
    if seed is not None and isinstance(data, Dataset):
        seed.check_labels(data.labels)
    from models.training.run.train import Places, Teller, train  # noqa: PLC0415 - seconds, which a mistake need not take

    output, run = _output(arguments, config), arguments.run_folder or Path("runs") / config.name
    places = Places(output, run, arguments.cache, weights)
    with ProgressBar("it", arguments.quiet, stays=False) as bar:
        train(config, data, places, Teller(bar.step, bar.say), command_line(arguments), arguments.resume)
        if isinstance(arguments.output, Address):
            bar.say(push_folder(arguments.output, MODELS, output.name, output, bar))
    return folder


def _output(arguments: argparse.Namespace, config: TrainConfig) -> Path:
    """→ the weights folder on this machine."""
    named = arguments.output
    return named if isinstance(named, Path) else load_settings().weights_dir / config.name


def _test(model: Path, folder: Path) -> int:
    """``actoscope evaluate`` on the split test, or on val where the data set has none."""
    split = Split.TEST if read_dataset(folder).of(Split.TEST) else Split.VAL
    command, parser = import_module(_EVALUATE), argparse.ArgumentParser()
    command.add_options(parser)
    return int(command.run(parser.parse_args([str(model), str(folder), "--split", split.value])))


def _folder_of(arguments: argparse.Namespace, config: TrainConfig) -> Path:
    """→ the folder of the data set, made where it is to be."""
    return _made(arguments, config) if arguments.videos else _named(arguments, config)


def _named(arguments: argparse.Namespace, config: TrainConfig) -> Path:
    """→ the folder of the data set that there is."""
    if arguments.data is None and not config.dataset:
        names = arguments.config or arguments.seed_config
        raise TrainingError(f"{names} names no data set: give --data DIR, or --videos DIR to make one")
    if isinstance(arguments.data, Address):
        return _pulled(arguments.data, config.name, arguments.quiet)
    return arguments.data or Path(config.dataset)


def _pulled(address: Address, name: str, quiet: bool) -> Path:
    """→ a folder with the pushed data set, of its own for each content."""
    folder = Path("runs") / name / "data" / address.split()[1][:12]
    with ProgressBar("B", quiet, stays=False) as bar:
        pull_folder(address, folder, bar)
    return folder


def _made(arguments: argparse.Namespace, config: TrainConfig) -> Path:
    """→ the folder of a data set of ``--videos``, which is made, or gone on with."""
    folder = arguments.data or Path("runs") / config.name / "data"
    if isinstance(folder, Address):
        raise TrainingError("--videos makes a data set on this machine: --data must be a folder then")
    with ProgressBar("video", arguments.quiet) as bar:
        done = make_ready(arguments.layout, arguments.videos, folder, config.input.size, bar)
    show_table(stats_rows(class_stats(done.dataset)))
    show_list("left out", [f"{item.what}: {item.reason}" for item in done.left_out])
    return folder


def command_line(arguments: argparse.Namespace) -> str:
    """The command as it goes on the card: no absolute folders of the machine it ran on."""
    words = ["actoscope", "train"]
    words += [_short(arguments.config)] if arguments.config else ["--seed-config", _short(arguments.seed_config)]
    words += ["--data", _short(arguments.data)] if arguments.data else []
    words += ["--videos", _short(arguments.videos), "--layout", arguments.layout] if arguments.videos else []
    return shlex.join(words)


def _short(path: Place) -> str:
    if isinstance(path, Address):
        return str(path)
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
