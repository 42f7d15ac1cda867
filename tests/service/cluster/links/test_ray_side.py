"""The process that speaks Ray ends when it is of no use any more, so that another one is begun."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
