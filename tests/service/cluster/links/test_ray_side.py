"""The process that speaks Ray ends when it is of no use any more, so that another one is begun."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from service.cluster.links.ray_setup import RaySetup

CARRIED = """
import asyncio, sys
from service.cluster.links import ray_side

async def carry(setup):
    asyncio.ensure_future(asyncio.to_thread(sys.stdin.buffer.read))  # as it waits for its owner
    await asyncio.sleep(0.1)
    {end}

ray_side.carry = carry
ray_side.main()
"""


@pytest.mark.parametrize("end", ["return 1", "raise RuntimeError('the actor does not come up')"])
def test_it_ends_while_its_owner_lives_where_ray_cannot_be_joined(end: str):
    pytest.importorskip("ray")
    setup = {"head": False, "name": "a", "address": "127.0.0.1:9", "host": "", "socket": ""}
    command = [sys.executable, "-c", CARRIED.format(end=end)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(setup).encode() + b"\n")
        process.stdin.flush()
        try:
            assert process.wait(90) == 1
        finally:
            process.kill()


def test_nodes_are_known_by_what_their_machines_told_ray():
    """A machine that has just gone may be listed beside the one that follows it."""
    ray_side = pytest.importorskip("service.cluster.links.ray_side")
    setup = RaySetup(False, "yard-1", "10.0.0.1:6379", "10.0.0.11", calls="10.0.0.11:4711")
    command = ray_side.ray_command(setup)
    told = json.loads(next(word for word in command if word.startswith("--resources=")).partition("=")[2])
    assert set(told) == {"actoscope-yard-1", "actoscope-calls:10.0.0.11:4711"}
    machines = [
        {"Alive": True, "Resources": {**told, "CPU": 2.0, "node:10.0.0.11": 1.0}},
        {"Alive": False, "Resources": {"actoscope-yard-1": 1.0, "actoscope-calls:10.0.0.11:1": 1.0}},
        {"Alive": True, "Resources": {"actoscope-yard-1": 1.0, "actoscope-calls:::1:2": 1.0}},
        {"Alive": True, "Resources": {"actoscope-yard-2": 1.0, "actoscope-calls:10.0.0.12:3": 1.0}},
    ]
    assert ray_side.addresses("yard-1", machines) == ["10.0.0.11:4711", "::1:2"]
    assert ray_side.addresses("yard", machines) == []
