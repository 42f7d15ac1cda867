"""``batch submit --on ray``: every fold as a job on a machine of the cluster, and the comparison when all are done."""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import TrainingError
from models.training.batch.share import Share
from service.batch_jobs.conductor import Conductor, Patience
from service.batch_jobs.order import Demand, JobOrder
from service.batch_jobs.outcome import End, RayGone
from service.commands.batch.named_config import named_config
from service.commands.batch.ray_options import config_file, job_environment, on_ray, placed
from service.commands.exit_status import EXIT_AGAIN, EXIT_FAILED
from service.commands.printing import say
from service.settings import Settings, load_settings

MOST_FOLDS = 1000  # each is a process of Ray's that waits for its turn


def submit(arguments: argparse.Namespace) -> int:
    """Until all are done. → 0; 1: a job has failed; 75: machines, or Ray, went.

    Raises TrainingError, StoreError, ClusterError; KeyboardInterrupt, once every job has kept what it had learnt.
    """
    try:
        return _submit(arguments, load_settings())
    except RayGone as error:
        print(f"actoscope: {error}", file=sys.stderr)
        return EXIT_AGAIN


def _submit(arguments: argparse.Namespace, settings: Settings) -> int:
    named_config(arguments)  # a mistake is told here, not by every fold
    orders = fold_orders(arguments, settings)
    if arguments.dry_run:
        for order in (*orders, *comparing(arguments, settings)):
            say(f"{order.name}: actoscope {' '.join(order.words)}" + (f" {order.config.name}" if order.config else ""))
        return 0
    patience = Patience(arguments.attempts, arguments.timeout_hours * 3600)
    with on_ray(settings, arguments) as (ray_jobs, demand):
        say(f"{len(orders)} {'jobs' if len(orders) > 1 else 'job'} of {demand} each")
        if arguments.detach:
            return _detached(arguments, ray_jobs, (orders, comparing(arguments, settings)), demand, patience)
        conductor = Conductor(ray_jobs.RayMachines(demand), patience, say)
        try:
            ends = conductor.run(orders)
            if all(end is End.DONE for end in ends.values()):
                ends |= conductor.run(comparing(arguments, settings))
        except KeyboardInterrupt:
            print("actoscope: stopped; the same command goes on where the jobs are", file=sys.stderr)
            raise
    return status_of(ends)


def _detached(
    arguments: argparse.Namespace,
    ray_jobs: Any,
    stages: Sequence[Sequence[JobOrder]],
    demand: Demand,
    patience: Patience,
) -> int:
    """They belong to the cluster's Ray from now on."""
    name = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', named_config(arguments).name)[:60]}-{secrets.token_hex(3)}"
    ray_jobs.detach(name, [stage for stage in stages if stage], demand, patience)
    say(f"{name}: actoscope batch status, wait or cancel {name}")
    return 0


def fold_orders(arguments: argparse.Namespace, settings: Settings) -> list[JobOrder]:
    """→ a job for each fold, or the one that trains the network that is kept."""
    if arguments.folds > MOST_FOLDS:
        raise TrainingError(f"expected at most {MOST_FOLDS} folds, got {arguments.folds}")
    data, output = placed(arguments.data), placed(arguments.output)
    words, config = config_file(arguments)
    told = ("batch", "run", "--data", str(data), "--output", str(output), "--quiet", *words)
    shares = (Share(index, arguments.folds) for index in range(arguments.folds))
    return [JobOrder(share.name, told, output, share, config, job_environment(settings)) for share in shares]


def comparing(arguments: argparse.Namespace, settings: Settings) -> list[JobOrder]:
    """→ the job that compares the folds; none where there is one fold."""
    if arguments.folds < 2:
        return []
    output = placed(arguments.output)
    words = ("batch", "reduce", "--output", str(output), "--folds", str(arguments.folds))
    return [JobOrder("reduce", words, output, environment=job_environment(settings))]


def status_of(ends: Mapping[str, End]) -> int:
    """→ the exit status; what is left to do is told."""
    for end, status, what in (
        (End.FAILED, EXIT_FAILED, "failed: once that is mended, the same command goes on with what is not done"),
        (End.AGAIN, EXIT_AGAIN, "not done: the same command goes on"),
    ):
        names: Sequence[str] = [name for name, each in ends.items() if each is end]
        if names:
            print(f"actoscope: {', '.join(names)} {what}", file=sys.stderr)
            return status
    return 0
