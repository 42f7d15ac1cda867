"""``actoscope batch status``: how jobs do that were submitted with ``--detach``."""

from __future__ import annotations

import argparse

from service.commands.batch.ray_options import add_address, joined_ray
from service.commands.printing import say
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="that `batch submit --detach` printed (default: all)")
    add_address(parser)


def run(arguments: argparse.Namespace) -> int:
    """Raises ClusterError, StoreError."""
    with joined_ray(load_settings(), arguments.address) as ray_jobs:
        names = ray_jobs.detached_names() if arguments.name is None else [arguments.name]
        for name in names:
            account = ray_jobs.DetachedJobs(name).look()
            ends = ", ".join(f"{job} {end.value}" for job, end in account.ends.items())
            say(f"{name}: {account.state}" + (f" ({ends})" if ends else ""))
            if account.lines and arguments.name is not None:
                say(f"  {account.lines[-1]}")
        if not names:
            say("no jobs of this cluster's Ray were detached, or they ended over an hour ago")
    return 0
