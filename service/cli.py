"""The command ``actoscope``: names every command, and loads the module of the one that was asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath

from models.errors import ModelsError
from pipeline.errors import PipelineError
from service.commands.exit_status import EXIT_FAILED, EXIT_INTERRUPTED
from service.errors_base import ServiceError


@dataclass(frozen=True)
class Command:
    """``module`` has ``add_options(parser)``, and ``run(arguments)``, which gives the exit status."""

    module: str
    help: str


@dataclass(frozen=True)
class Family:
    """Commands under one word. ``metavar`` stands for their names in usage lines; None: all the names."""

    help: str
    commands: Mapping[str, Command]
    metavar: str | None = None


_WEIGHTS = {
    "pull": Command("service.commands.weights.pull", "fetch and convert a published network"),
    "list": Command("service.commands.weights.list", "what is in the weights directory"),
}
_DATASET = {
    "extract": Command("service.commands.dataset.extract", "videos → crops of every person, numbered by frame"),
    "label": Command(
        "service.commands.dataset.label", "contact sheets of every track, and a table to fill or import into"
    ),
    "group": Command(
        "service.commands.dataset.group", "tracks → examples of 64 to 80 samples, to look at and to sort by hand"
    ),
    "oversample": Command(
        "service.commands.dataset.oversample", "short examples are played back and forth to full length"
    ),
    "clips": Command("service.commands.dataset.clips", "labelled examples → a data set to train on"),
    "prepare": Command("service.commands.dataset.prepare", "public layouts → a data set"),
    "split": Command("service.commands.dataset.split", "train, val and test by group, stratified by class"),
    "balance": Command(
        "service.commands.dataset.balance", "a target number of clips per class: repeat or leave out rows"
    ),
    "stats": Command(
        "service.commands.dataset.stats", "clips, groups and durations per class and split, as table and plots"
    ),
    "duplicates": Command("service.commands.dataset.duplicates", "clips of different splits that look alike"),
    "augment": Command(
        "service.commands.dataset.augment", "write changed copies of clips until every class has enough"
    ),
    "import-corrections": Command(
        "service.commands.dataset.import_corrections", "what people corrected in the service → a data set"
    ),
    "export-cvat": Command("service.commands.dataset.export_cvat", "people and labels of a recording → CVAT XML"),
    "push": Command("service.commands.dataset.push", "a data set into a store, under the hash of its content"),
    "pull": Command("service.commands.dataset.pull", "a data set, or a model, out of a store, checked file by file"),
}
_STORE = {"check": Command("service.commands.store.check", "try out what a bucket or folder can do")}
_BATCH = {
    "run": Command("service.commands.batch.run", "one training whose state lies in a store: the job's entrypoint"),
    "reduce": Command("service.commands.batch.reduce", "compare the folds that jobs have trained"),
    "submit": Command(
        "service.commands.batch.submit", "a job for each fold, on AWS Batch or Ray, and one that compares"
    ),
    "status": Command("service.commands.batch.status", "how jobs do that were submitted with --detach"),
    "wait": Command("service.commands.batch.wait", "what such jobs print, until they are over"),
    "cancel": Command("service.commands.batch.cancel", "stop such jobs; each keeps what it has learnt"),
    "tune": Command("service.commands.batch.tune", "try values that a configuration leaves open, on machines of Ray"),
}
_AUDIT = {
    "verify": Command("service.commands.audit.verify", "check every row against the one before"),
    "list": Command("service.commands.audit.list", "the newest rows"),
}
_CASE = {
    "verify": Command("service.commands.case.verify", "whether an exported case is as it was made"),
}
_USERS = {
    "add": Command("service.commands.users.add", "somebody may log in"),
    "list": Command("service.commands.users.list", "who may log in, and what each may do"),
    "passwd": Command("service.commands.users.passwd", "a new password, which ends the user's sessions"),
    "remove": Command("service.commands.users.remove", "somebody may not log in any more"),
}
_TOKENS = {
    "add": Command("service.commands.tokens.add", "make an API token, which is shown once"),
    "list": Command("service.commands.tokens.list", "API tokens without their secrets"),
    "revoke": Command("service.commands.tokens.revoke", "an API token counts no more"),
}
COMMANDS: Mapping[str, Command | Family] = {
    "serve": Command("service.commands.serve", "run the service"),
    "node": Command("service.commands.node", "run streams of a cluster on this machine"),
    "users": Family("who may log in", _USERS),
    "tokens": Family("API tokens of programs", _TOKENS),
    "annotate": Command("service.commands.annotate", "process one video file, every frame"),
    "weights": Family("fetch and list networks", _WEIGHTS),
    "dataset": Family("videos → data sets: extract, label, group, clips, prepare, split …", _DATASET, "STEP"),
    "train": Command("service.commands.train", "teach a network the classes of a data set"),
    "retrain": Command("service.commands.retrain", "make a further version of a network from corrected labels"),
    "store": Family("data sets, models and states of trainings elsewhere", _STORE),
    "batch": Family("trainings as jobs, whose state lies in a store", _BATCH),
    "train-person": Command("service.commands.train_person", "fine-tune the person detector on surveillance videos"),
    "train-appearance": Command("service.commands.train_appearance", "teach the network that tells people apart"),
    "evaluate": Command("service.commands.evaluate", "measure a model on a data set, or on whole videos"),
    "predict": Command("service.commands.predict", "what a network of whole pictures says of a video, as a GIF too"),
    "compare": Command("service.commands.compare", "measure several models on the same clips"),
    "export": Command("service.commands.export", "write a network for another runtime, and compare both on real clips"),
    "case": Family("exported cases: verify one", _CASE),
    "audit": Family("who did what: check it, list it", _AUDIT),
    "settings": Command("service.commands.settings", "print every setting, its default and its meaning"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Parses and runs one command. → the exit status: 0 done, 1 failed with a message, 2 usage, 130 interrupted."""
    words = sys.argv[1:] if argv is None else argv
    try:
        parser = build_parser(words)
        arguments = parser.parse_args(words)
        _refuse_blank_paths(parser, arguments)
        return int(arguments.run(arguments))
    except (PipelineError, ModelsError, ServiceError, OSError) as error:
        print(f"actoscope: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ModuleNotFoundError as error:
        print(f"actoscope: this command needs more packages: pip install -e '.[train]' ({error})", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _refuse_blank_paths(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """A folder called " " would be made, and not be found again by anybody who looks for it."""
    for option, value in vars(arguments).items():
        paths = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(path, PurePath) and not str(path).strip() for path in paths):
            parser.error(f"{option}: expected a file or a folder, got nothing but blanks")


def build_parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """→ a parser that knows every command by name, and of the one that ``words`` ask for also the options.

    Only that command's module is imported. Without ``words`` it is every module, and all options are known.
    """
    parser = argparse.ArgumentParser(
        prog="actoscope", description="Says live, for every person in view of many cameras, what that person is doing."
    )
    parser.add_argument("--version", action="version", version=f"actoscope {_version()}")
    _add_commands(parser, COMMANDS, "COMMAND", words)
    return parser


def _version() -> str:
    try:
        return version("actoscope")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"


def _add_commands(
    parser: argparse.ArgumentParser,
    commands: Mapping[str, Command | Family],
    metavar: str | None,
    words: Sequence[str] | None,
) -> None:
    choices = parser.add_subparsers(required=True, metavar=metavar)
    asked, rest = (None, None) if words is None else _first_name(words)
    for name, entry in commands.items():
        below = choices.add_parser(name, help=entry.help)
        if words is not None and name != asked:
            continue
        if isinstance(entry, Family):
            _add_commands(below, entry.commands, entry.metavar, rest)
        else:
            module = import_module(entry.module)
            module.add_options(below)
            below.set_defaults(run=module.run)


def _first_name(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """→ the first word that is no option, and the words after it: no option before a command takes a value."""
    for place, word in enumerate(words, 1):
        if not word.startswith("-"):
            return word, words[place:]
    return "", ()


if __name__ == "__main__":
    sys.exit(main())
