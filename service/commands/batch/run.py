"""``actoscope batch run``: what a job's container starts. Its state lies in a store, so that any attempt may be cut.

Exit status 0: done, also by an earlier attempt. 75: the machine goes, the store is away, or another attempt has written
the state meanwhile; the next attempt goes on. 1: another attempt would fail the same way.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from importlib import import_module
from pathlib import Path

from models.errors import StoreConflictError, StoreUnavailableError
from models.training.batch.halt import Halt, Terminated
from service.commands.batch.environment import BatchEnvironment, read_environment
from service.commands.batch.named_config import add_config, config_words, named_config
from service.commands.batch.terminated import halting
from service.commands.exit_status import EXIT_AGAIN
from service.commands.progress import ProgressBar
from service.commands.store_place import place
from service.settings import load_settings

_ATTEMPT = "service.commands.batch.attempt"  # seconds of network libraries, which a mistake need not take


def add_options(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--data", type=place, required=True, help="address of a pushed data set, or a folder")
    parser.add_argument("--output", type=place, required=True, help="s3://bucket/prefix, or a folder, of this run")
    parser.add_argument("--scratch", type=Path, help="folder of this machine (default: batch in the data folder)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    """Raises TrainingError, DatasetError, StoreError."""
    environment = read_environment()
    try:
        with halting() as halt:
            _run(arguments, environment, halt)
    except Terminated:
        return _again(environment, "told to go")
    except (StoreUnavailableError, StoreConflictError) as error:
        return _again(environment, str(error))
    return 0


def _run(arguments: argparse.Namespace, environment: BatchEnvironment, halt: Halt) -> None:
    config, scratch = named_config(arguments), arguments.scratch or load_settings().data_dir / "batch"
    option, name = config_words(arguments)
    words = ["actoscope", "batch", "run", option, Path(name).name]  # no folders of the machine that it runs on
    command = shlex.join([*words, "--data", str(arguments.data), "--output", str(arguments.output)])
    module = import_module(_ATTEMPT)
    with ProgressBar("it", arguments.quiet, stays=False) as bar:
        bar.say(environment)
        module.Attempt(config, environment.share, arguments.data, arguments.output, scratch, command).run(bar, halt)


def _again(environment: BatchEnvironment, why: str) -> int:
    print(f"actoscope: {environment}: {why}; the next attempt goes on", file=sys.stderr)
    return EXIT_AGAIN
