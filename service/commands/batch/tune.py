"""``actoscope batch tune``: which of the values that a configuration leaves open does best on val."""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from models.errors import TrainingError
from models.store.address import below
from models.store.opening import open_store
from models.store.protocol import Store
from models.training.batch.trials import (
    PICKED_FILE,
    Trial,
    claim,
    keep_table,
    pick,
    picked_source,
    table,
    trials_of,
    tuning_key,
)
from models.training.config import TrainConfig
from models.training.config_source import config_source
from pipeline.files import write_atomically
from service.batch_jobs.order import ConfigFile, JobOrder
from service.batch_jobs.outcome import RayGone
from service.batch_jobs.trial_run import FAILED, TrialOrder
from service.batch_jobs.tuning import Halving, Listener
from service.cluster.links.errors import ClusterError
from service.commands.batch.named_config import named_config
from service.commands.batch.ray_options import TRIALS, add_ray_options, job_environment, on_ray, placed
from service.commands.exit_status import EXIT_AGAIN, EXIT_FAILED, EXIT_INTERRUPTED
from service.commands.options import positive
from service.commands.printing import say, show_table
from service.commands.store_place import place
from service.settings import Settings, load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", metavar="CONFIG", help="name of a file in models/configs, or a Python file with CONFIG"
    )
    parser.add_argument("--on", choices=("ray",), default="ray", help="where trials run (default ray)")
    parser.add_argument("--data", type=place, required=True, help="address of a pushed data set, or a folder")
    parser.add_argument("--output", type=place, required=True, help="s3://bucket/prefix, or a folder, of this tuning")
    parser.add_argument(
        "--trials", type=positive, default=20, help="how many; the first is CONFIG as it is (default 20)"
    )
    parser.add_argument("--seed", type=int, default=0, help="what is tried depends on it (default 0)")
    parser.add_argument("--grace", type=positive, default=3, help="epochs that every trial gets (default 3)")
    parser.add_argument("--reduction", type=_reduction, default=3.0, help="of so many, one goes on (default 3)")
    parser.add_argument("--parallel", type=positive, help="trials at once (default: as many as there is room for)")
    parser.add_argument("--attempts", type=positive, default=5, help="tries of each trial, on all machines (default 5)")
    parser.add_argument(
        "--picked", type=Path, metavar="FILE", help="configuration to write (default: runs/NAME-tuned.py)"
    )
    add_ray_options(parser)
    parser.set_defaults(seed_config=None)


def run(arguments: argparse.Namespace) -> int:
    """→ 0; 1: a trial was not measured; 75: Ray went; 130: interrupted.

    Raises TrainingError, StoreError, ClusterError.
    """
    try:
        return _run(arguments, load_settings())
    except RayGone as error:
        print(f"actoscope: {error}", file=sys.stderr)
        return EXIT_AGAIN


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    config, data, output = named_config(arguments), placed(arguments.data), placed(arguments.output)
    trials = trials_of(config, arguments.trials, arguments.seed)
    store = open_store(output, settings.s3_endpoint)
    claim(store, tuning_key(config, f"{data} {arguments.seed}"))
    listener = Listener(trials, config.monitor, say)
    halving = Halving(arguments.grace, arguments.reduction, arguments.parallel or 0)
    with on_ray(settings, arguments) as (_, demand):
        command = secrets.token_hex(4)
        orders = [replace(trial_order(trial, arguments, settings), command=command) for trial in trials]
        say(f"{len(trials)} trials of {demand} each")
        _tune(_loaded().tune_trials, orders, (output, settings.s3_endpoint), halving, demand, listener, config.monitor)
    return _told(arguments, config, store, listener)


def _tune(tune_trials: Any, *what: Any) -> None:
    """A second Ctrl-C ends it where it is; what trials have kept stays."""
    try:
        tune_trials(*what)
    except KeyboardInterrupt:
        say("stopped at once")


def trial_order(trial: Trial, arguments: argparse.Namespace, settings: Settings) -> TrialOrder:
    """→ the trial as a job; its configuration goes along."""
    output = below(placed(arguments.output), *trial.key.split("/"))
    words = ("batch", "run", "--data", str(placed(arguments.data)), "--output", str(output), "--quiet")
    text = config_source(trial.config, f"Trial {trial.number} of a tuning.")
    file = ConfigFile("--config", f"{trial.number:04d}.py", text)
    job = JobOrder(f"trial-{trial.number}", words, output, config=file, environment=job_environment(settings))
    return TrialOrder(trial.number, trial.key, job, trial.config.epochs, arguments.attempts)


def _told(arguments: argparse.Namespace, config: TrainConfig, store: Store, listener: Listener) -> int:
    """The table, and the pick where every trial has ended."""
    found = listener.found()
    keep_table(store, found, config.monitor)
    show_table(table(found, config.monitor))
    if not listener.is_whole:
        print("actoscope: interrupted; the same command goes on where the trials are", file=sys.stderr)
        return EXIT_INTERRUPTED
    chosen = pick(found, config.monitor)
    if chosen is None:
        raise TrainingError("no trial was measured: the table says why")
    words = ["actoscope", "batch", "tune", _short(arguments.config), "--trials", str(arguments.trials)]
    source = picked_source(config, chosen, len(found), shlex.join([*words, "--seed", str(arguments.seed)]))
    store.put_bytes(PICKED_FILE, source.encode())
    path = arguments.picked or Path("runs") / f"{config.name}-tuned.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, source)
    say(f"trial {chosen.trial.number}: {path}")
    return EXIT_FAILED if any(each.best is None or each.ended.startswith(FAILED) for each in found) else 0


def _short(config: str) -> str:
    return Path(config).name if config.endswith(".py") else config


def _loaded() -> ModuleType:
    """Raises ClusterError where Ray Tune is not installed."""
    try:
        return import_module(TRIALS)
    except ImportError as error:
        raise ClusterError(f"a tuning needs more packages: pip install -e '.[tune]' ({error})") from error


def _reduction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 < value < 1000:
        raise argparse.ArgumentTypeError(f"expected a number above 1, got {text!r}")
    return value
