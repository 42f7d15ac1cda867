"""The configuration of a job: one that the image holds, by name, or a file."""

from __future__ import annotations

import argparse
from pathlib import Path

import models.configs
from models.errors import TrainingError
from models.training.config import TrainConfig, load_config
from models.training.seed_config import load_seed_config

_FOLDER = Path(next(iter(models.configs.__path__)))


def add_config(parser: argparse.ArgumentParser) -> None:
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--config", help="name of a file in models/configs, or a Python file with CONFIG")
    one.add_argument("--seed-config", type=Path, metavar="FILE", help="a forerunner's configuration file")


def named_config(arguments: argparse.Namespace) -> TrainConfig:
    """Raises TrainingError."""
    if arguments.seed_config is not None:
        return load_seed_config(arguments.seed_config).config
    return load_config(_path(arguments.config))


def config_words(arguments: argparse.Namespace) -> list[str]:
    """→ the option as it was given."""
    if arguments.seed_config is not None:
        return ["--seed-config", str(arguments.seed_config)]
    return ["--config", arguments.config]


def _path(name: str) -> Path:
    if name.endswith(".py"):
        return Path(name)
    path = _FOLDER / f"{name.replace('-', '_')}.py"
    if not path.is_file():
        known = sorted(each.stem for each in _FOLDER.glob("[!_]*.py"))
        raise TrainingError(f"no configuration is called {name!r}; there are {', '.join(known)}, or name a file ….py")
    return path
