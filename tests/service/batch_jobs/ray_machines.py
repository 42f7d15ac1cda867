"""Machines of a cluster's Ray on loopback, begun as an API and its nodes begin it, without either."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil

from service.cluster.links.ports import COUNT
from service.cluster.links.ray_setup import RaySetup
from service.cluster.links.token import ray_environment
from tests.support.cluster import low_port
from tests.support.service import wait_for

READY_S = 120.0


class RayMachine:
    """One process that speaks Ray, with the raylet that it has begun."""

    def __init__(self, folder: Path, setup: RaySetup, token: Path) -> None:
        self.log = folder / f"{setup.name}.log"
        environment = {**ray_environment(token), "ACTOSCOPE_DATA_DIR": str(folder / setup.name)}
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "service.cluster.links.ray_side"]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=environment)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asdict(setup)).encode() + b"\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        wait_for(lambda: b"Ray runs, " in self.log.read_bytes(), READY_S, "Ray runs")

    def kill_raylet(self) -> None:
        """As if the machine was gone."""
        (raylet,) = (p for p in psutil.Process(self.process.pid).children(recursive=True) if p.name() == "raylet")
        raylet.kill()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def ray_cluster(folder: Path, nodes: int, ports: int = 0) -> Iterator[tuple[str, Path, list[RayMachine]]]:
    """→ where the head is, the token, and the nodes, the first of which has the address 127.0.0.31. ``ports``: first
    of those of the head, then of the first node, …; 0: any.
    """
    token = folder / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    address = f"127.0.0.30:{low_port()}"
    machines: list[RayMachine] = []
    try:
        for number in range(nodes + 1):
            setup = RaySetup(
                not number,
                f"m{number}-{os.getpid()}",
                address,
                f"127.0.0.{30 + number}",
                str(folder / f"{number}.sock"),
                ports=ports and ports + number * COUNT,
            )
            machines.append(RayMachine(folder, setup, token))
            machines[-1].wait()
        yield address, token, machines[1:]
    finally:
        for machine in reversed(machines):
            machine.close()
