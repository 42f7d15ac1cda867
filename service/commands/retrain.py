"""``actoscope retrain``: corrected labels → a further version of a network, judged beside the one before."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import DatasetError
from models.retraining.order import Order
from models.weights.version_names import split_version
from service.commands.exit_status import EXIT_REFUSED
from service.commands.options import model_folder
from service.commands.printing import say, show_list, show_table
from service.commands.progress import ProgressBar
from service.settings import Settings, load_settings

if TYPE_CHECKING:
    from models.retraining.retrain import Outcome

STEPS = 1000  # of the bar


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="version to learn on, such as surveillance@2 (default: the service's)"
    )
    parser.add_argument("--corrections", type=Path, metavar="DIR", help="stored verdicts (default: in the data folder)")
    parser.add_argument("--base-data", type=Path, metavar="DIR", help="data set that the network was made of, if any")
    parser.add_argument("--config", choices=("quick", "full"), default="quick", help="the output alone, or blocks too")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="rules as GET /v1/rules gives them (JSON)")
    parser.add_argument("--force-count", action="store_true", help="judge with too few labels of the audit sample too")
    parser.add_argument("--run-folder", type=Path, metavar="DIR", help="go on there after a kill (default: a new one)")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"), help="folder of cached features")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    used = used_labels(arguments.rules)
    from models.retraining.retrain import retrain  # noqa: PLC0415 - seconds, which a mistake need not take

    with tempfile.TemporaryDirectory(prefix="actoscope-retrain-") as work, ProgressBar("‰", arguments.quiet) as bar:
        order = Order(
            parent=model_folder(settings, arguments.model or settings.model).name,
            corrections=arguments.corrections or settings.corrections_dir,
            weights=settings.weights_dir.resolve(),
            run=(arguments.run_folder or Path(work)).resolve(),
            cache=arguments.cache.resolve(),
            configuration=arguments.config,
            base=_base(arguments, settings),
            used=used,
            force_count=arguments.force_count,
            command=_command_line(arguments),
        )
        outcome = retrain(order, bar.say, lambda what, share, _: bar.step(what, round(STEPS * share), STEPS))
    return show(outcome)


def show(outcome: Outcome) -> int:
    """The result as tables → the exit status."""
    show_list("left out", [f"{count}: {reason}" for reason, count in outcome.left_out.items()])
    say(f"{outcome.version}: learnt from {outcome.learnt} corrections, judged on {outcome.audit} audit labels")
    marks = {True: "passed", False: "refused", None: "–"}
    show_table([("check", "", ""), *((each.name, marks[each.passed], each.words) for each in outcome.gate.checks)])
    show_list("labels that are missing", outcome.gate.missing)
    alias, _ = split_version(outcome.version)
    if not outcome.gate.passed:
        say(f"{outcome.version} is kept, and {alias} stays as it was: the gate refused it")
        return EXIT_REFUSED
    say(f"{outcome.version} may take its place: nothing is promoted by itself")
    return 0


def used_labels(path: Path | None) -> Mapping[str, Sequence[str]]:
    """→ labels that rules name, each with the rules' names. Raises DatasetError for a file that holds no rules."""
    if path is None:
        return {}
    try:
        content = json.loads(path.read_bytes())
        rules = content["items"] if isinstance(content, dict) else content
        named = [(label, str(rule["name"])) for rule in rules for label in rule["actions"] or ()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} holds no rules as GET /v1/rules gives them: {error!r}") from error
    used: dict[str, list[str]] = {}
    for label, name in named:
        used.setdefault(label, []).append(name)
    return used


def _base(arguments: argparse.Namespace, settings: Settings) -> Path | None:
    base: Path | None = arguments.base_data or settings.base_data
    return None if base is None else base.resolve()


def _command_line(arguments: argparse.Namespace) -> str:
    """The command as it goes on the card, without folders of the machine it ran on."""
    words = ["actoscope", "retrain", *([arguments.model] if arguments.model else []), "--config", arguments.config]
    return shlex.join([*words, *(["--base-data", arguments.base_data.name] if arguments.base_data else [])])
