"""``actoscope batch cancel``: stops jobs that were submitted with ``--detach``; each keeps what it has learnt."""

from __future__ import annotations

import argparse
import time

from service.batch_jobs.conductor import STOP_S
from service.cluster.links.errors import ClusterError
from service.commands.batch.ray_options import add_address, joined_ray
from service.commands.printing import say
from service.settings import load_settings

LOOK_S = 0.5
WAIT_S = STOP_S + 30.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="that `batch submit --detach` printed")
    add_address(parser)


def run(arguments: argparse.Namespace) -> int:
    """Once they have stopped. Raises ClusterError, StoreError."""
    with joined_ray(load_settings(), arguments.address) as ray_jobs:
        jobs = ray_jobs.DetachedJobs(arguments.name)
        jobs.cancel()
        deadline_s = time.monotonic() + WAIT_S
        while not (account := jobs.look()).is_over:
            if time.monotonic() > deadline_s:
                raise ClusterError(f"{arguments.name} has not stopped within {WAIT_S:g} s")
            time.sleep(LOOK_S)
    say(f"{arguments.name}: {account.state}")
    return 0
