"""``actoscope batch wait``: what jobs print that were submitted with ``--detach``, until they are over."""

from __future__ import annotations

import argparse
import sys
import time

from service.batch_jobs.director import BROKEN, CANCELLED
from service.batch_jobs.outcome import RayGone
from service.commands.batch.on_ray import status_of
from service.commands.batch.ray_options import add_address, joined_ray
from service.commands.exit_status import EXIT_AGAIN, EXIT_FAILED
from service.commands.printing import say
from service.settings import load_settings

LOOK_S = 1.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="that `batch submit --detach` printed")
    add_address(parser)


def run(arguments: argparse.Namespace) -> int:
    """→ 0; 1: a job has failed; 75: machines, or Ray, went, or they were cancelled: submitted again, they go on.

    Ctrl-C ends the waiting alone. Raises ClusterError, StoreError.
    """
    try:
        return _run(arguments)
    except RayGone as error:
        print(f"actoscope: {error}", file=sys.stderr)
        return EXIT_AGAIN


def _run(arguments: argparse.Namespace) -> int:
    with joined_ray(load_settings(), arguments.address) as ray_jobs:
        jobs, told = ray_jobs.DetachedJobs(arguments.name), 0
        while True:
            account = jobs.look(told)
            if account.first > told:
                say(f"… {account.first - told} lines left out")
            for line in account.lines:
                say(line)
            told = account.first + len(account.lines)
            if account.is_over:
                break
            time.sleep(LOOK_S)
    if account.state in (CANCELLED, BROKEN):
        print(f"actoscope: {account.state}; submitted again, they go on where they are", file=sys.stderr)
        return EXIT_AGAIN if account.state == CANCELLED else EXIT_FAILED
    return status_of(account.ends)
