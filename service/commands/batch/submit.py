"""``actoscope batch submit``: folds as jobs of AWS Batch or on Ray, and one that compares them at the end."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from models.errors import StoreError
from models.store.address import Address
from service.batch_jobs.ray_place import LOCAL
from service.commands.batch import on_ray
from service.commands.batch.named_config import add_config, config_words, named_config
from service.commands.batch.plan import Plan
from service.commands.batch.ray_options import add_ray_options
from service.commands.options import positive
from service.commands.printing import say
from service.commands.store_place import place
from service.settings import PREFIX, load_settings

_AWS = "service.commands.batch.aws"  # imports boto3, which a look at the requests does without


def add_options(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--on", choices=("aws", "ray"), default="aws", help="whose machines (default aws)")
    parser.add_argument("--data", type=place, required=True, help="address that `dataset push` printed")
    parser.add_argument("--output", type=place, required=True, help="s3://bucket/prefix of this run")
    parser.add_argument("--folds", type=positive, default=1, help="1: the network that is kept (default)")
    parser.add_argument("--attempts", type=_attempts, default=5, help="tries of each job, 1 to 10 (default 5)")
    parser.add_argument("--timeout-hours", type=positive, default=24, help="of each attempt (default 24)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be asked for, and ask for nothing")
    parser.add_argument(
        "--detach", action="store_true", help="on Ray: return at once; `batch status`, `wait` and `cancel` do the rest"
    )
    group = parser.add_argument_group("on AWS Batch")
    group.add_argument("--queue", help="job queue, by name or ARN")
    group.add_argument("--definition", help="job definition, such as actoscope-train:3")
    group.add_argument("--name", help="of the jobs (default: the configuration's)")
    add_ray_options(parser)
    parser.set_defaults(refuse=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Raises TrainingError, StoreError, ClusterError. Options that do not go together are a usage error."""
    if arguments.on == "ray":
        _check_left_out(arguments, "aws", ("queue", "definition", "name"))
        if arguments.detach and arguments.address == LOCAL:
            arguments.refuse(f"--detach: a Ray of this machine alone (--address {LOCAL}) ends with the command")
        return on_ray.submit(arguments)
    _check_left_out(arguments, "ray", ("address", "gpus"))
    if arguments.detach:
        arguments.refuse("--detach is for --on ray: AWS Batch returns at once")
    for option in ("queue", "definition"):
        if getattr(arguments, option) is None:
            arguments.refuse(f"--{option} is needed for AWS Batch (--on ray: for the machines of a cluster)")
    for option in ("data", "output"):
        if not isinstance(getattr(arguments, option), Address):
            arguments.refuse(f"--{option}: expected s3://bucket/prefix, which every machine can reach")
    return _submit(arguments)


def _check_left_out(arguments: argparse.Namespace, on: str, options: Sequence[str]) -> None:
    for option in options:
        if getattr(arguments, option) is not None:
            arguments.refuse(f"--{option} is for --on {on}")


def _submit(arguments: argparse.Namespace) -> int:
    """Prints the ids."""
    plan, submit = _plan(arguments), _show if arguments.dry_run else _client()
    training = submit(plan.training())
    say(f"{plan.name}: {training}" + (f", {plan.folds} folds" if plan.folds > 1 else ""))
    comparing = plan.comparing(training)
    if comparing is not None:
        say(f"{comparing['jobName']}: {submit(comparing)}, after all of them")
    return 0


def _plan(arguments: argparse.Namespace) -> Plan:
    name = arguments.name or named_config(arguments).name
    endpoint = load_settings().s3_endpoint
    common = ("--output", str(arguments.output))
    return Plan(
        name=re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:100],
        queue=arguments.queue,
        definition=arguments.definition,
        folds=arguments.folds,
        run=("batch", "run", *config_words(arguments), "--data", str(arguments.data), *common, "--quiet"),
        reduce=("batch", "reduce", *common, "--folds", str(arguments.folds)),
        attempts=arguments.attempts,
        timeout_s=arguments.timeout_hours * 3600,
        environment={f"{PREFIX}S3_ENDPOINT": endpoint} if endpoint else None,
    )


def _client() -> Callable[[Mapping[str, Any]], str]:
    try:
        submit: Callable[[Mapping[str, Any]], str] = import_module(_AWS).submit
    except ModuleNotFoundError as error:
        raise StoreError(f"AWS Batch needs more packages: pip install -e '.[s3]' ({error})") from error
    return submit


def _show(request: Mapping[str, Any]) -> str:
    say(json.dumps(request, indent=2))
    return "(not submitted)"


def _attempts(text: str) -> int:
    attempts = positive(text)
    if attempts > 10:
        raise argparse.ArgumentTypeError(f"AWS Batch tries at most 10 times, got {attempts}")
    return attempts
