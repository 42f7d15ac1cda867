"""Options of commands whose jobs run on machines that Ray knows, and Ray itself, loaded once they are right."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from models.errors import TrainingError
from models.store.address import Place
from service.batch_jobs.order import ConfigFile, Demand
from service.batch_jobs.ray_place import LOCAL, ray_place
from service.commands.batch.named_config import config_words
from service.commands.options import positive
from service.settings import PREFIX, Settings

JOBS, TRIALS = "service.batch_jobs.ray_jobs", "service.batch_jobs.ray_trials"  # import Ray


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("on Ray")
    add_address(group, f", or {LOCAL}: one on this machine for the while")
    group.add_argument("--cpus", type=positive, default=1, help="that each job takes of its machine (default 1)")
    group.add_argument(
        "--gpus", type=_share, help="that each job takes; parts of one are shared (default: 1 where there are any)"
    )


def add_address(parser: argparse._ActionsContainer, more: str = "") -> None:
    parser.add_argument(
        "--address", help=f"host:port of the cluster's Ray{more} (default: the cluster's, by its database)"
    )


@contextmanager
def joined_ray(settings: Settings, address: str | None) -> Iterator[Any]:
    """→ the module that speaks Ray, joined. Raises ClusterError, StoreError."""
    with ray_place(settings, address) as place:
        module = import_module(JOBS)
        with module.joined(place):
            yield module


@contextmanager
def on_ray(settings: Settings, arguments: argparse.Namespace) -> Iterator[tuple[Any, Demand]]:
    """→ the module that speaks Ray, joined, and what each job takes. Raises ClusterError, StoreError."""
    with joined_ray(settings, arguments.address) as module:
        yield module, module.demand_of(arguments.cpus, arguments.gpus)


def placed(where: Place) -> Place:
    """A folder as every machine has to have it: by its whole path."""
    return where.resolve() if isinstance(where, Path) else where


def job_environment(settings: Settings) -> dict[str, str]:
    """→ what jobs are told by whoever submits them. The rest is set where they run."""
    return {f"{PREFIX}S3_ENDPOINT": settings.s3_endpoint} if settings.s3_endpoint else {}


def config_file(arguments: argparse.Namespace) -> tuple[tuple[str, ...], ConfigFile | None]:
    """→ words that name the configuration, or its file where it is one of this machine. Raises TrainingError."""
    option, name = config_words(arguments)
    path = Path(name)
    if option == "--config" and path.suffix != ".py":
        return (option, name), None
    try:
        return (), ConfigFile(option, path.name, path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not (0 <= share < 1 or (share >= 1 and share.is_integer())):
        raise argparse.ArgumentTypeError(f"expected a whole number of GPUs, or a part of one such as 0.5, got {text!r}")
    return share
