"""``actoscope train``: teach a network the classes of a data set."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the parser of ``actoscope``."""
    train = commands.add_parser("train", help="teach a network the classes of a data set")
    train.add_argument("config", type=Path, metavar="CONFIG", help="Python file with CONFIG = TrainConfig(…)")
    train.add_argument(
        "--data", type=Path, help="data set, or working folder for scenes (default: the configuration's)"
    )
    train.add_argument("--output", type=Path, help="weights folder to write (default: NAME in the weights directory)")
    train.add_argument("--run-folder", type=Path, help="folder of checkpoints and logs (default: runs/NAME)")
    train.add_argument("--cache", type=Path, default=Path("runs/features"), help="folder of cached features")
    train.add_argument("--resume", action="store_true", help="go on where an interrupted training stopped")
    train.add_argument("--quiet", action="store_true", help="no progress bars")
    train.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    from models.errors import TrainingError  # noqa: PLC0415 - commands load only what they need
    from models.training.config import load_config  # noqa: PLC0415
    from models.training.read_data import read_data  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    config = load_config(arguments.config)
    folder = arguments.data or (Path(config.dataset) if config.dataset else None)
    if folder is None:
        raise TrainingError(f"{arguments.config} names no data set: give --data DIR")
    data, weights = read_data(config, folder), load_settings().weights_dir
    from models.training.train import Places, Teller, train  # noqa: PLC0415 - takes seconds, which a typing error need not

    output, run = arguments.output or weights / config.name, arguments.run_folder or Path("runs") / config.name
    places = Places(output, run, arguments.cache, weights)
    bars = _Bars(enabled=not arguments.quiet)
    try:
        train(config, data, places, Teller(bars, bars.line), _command(arguments), arguments.resume)
    finally:
        bars.close()
    return 0


def _command(arguments: argparse.Namespace) -> str:
    """The command as it goes on the card: no absolute folders of the machine it ran on."""
    words = ["actoscope", "train", _short(arguments.config)]
    words += ["--data", _short(arguments.data)] if arguments.data else []
    return shlex.join(words)


def _short(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name


class _Bars:
    """One progress bar for each long step, and lines above it."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._bar: tqdm[Any] | None = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        from tqdm import tqdm  # noqa: PLC0415

        if what != self._what or self._bar is None:
            self.close()
            self._what = what
            self._bar = tqdm(total=total, desc=what, disable=not self._enabled, leave=False, file=sys.stderr)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def line(self, text: str) -> None:
        self.close()
        print(text, flush=True)  # the command's output

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
