"""Speaks Ray for an API or a node, in a process of its own: ``python -m service.cluster.links.ray_side``. Nothing else
here imports Ray, but for what begins it (``ray_start``).

Ray ends the processes that belong to it where its head or its raylet is gone; neither cameras nor the API may go with
them. So this process has no state: it begins Ray on its machine, and ends when its standard input does or when Ray has
ended. Whoever started it starts it again.

    API ─ socket ─ ray_side (driver) ═ Ray: which machines are there, and where their agents take calls
    API ─ direct_link ─ agent of a node

A machine tells Ray its name and where its agent is as resources that it alone has. There is no actor of ours: one that
only waits wakes a hundred times a second (docs/architecture.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import ray

from service import logs
from service.cluster.links.direct_link import WHERE
from service.cluster.links.errors import LinkDown
from service.cluster.links.ports import Ports
from service.cluster.links.ray_setup import RaySetup
from service.cluster.links.socket_link import SocketServer

log = logging.getLogger(__name__)

NAMESPACE = "actoscope"
OBJECT_STORE_BYTES = 256 << 20  # single pictures and pieces of files: Ray's default would take a third of the memory
START_S = 60.0
LOOK_S = 0.5
_PR_SET_PDEATHSIG = 1


class Gate:
    """Tells the API where nodes take calls."""

    async def serve(self, node: str, method: str, timeout_s: float, body: bytes) -> bytes:
        """→ addresses, one a line. Raises LinkDown."""
        if method != WHERE:
            raise LinkDown(f"expected {WHERE}, got {method[:40]}")
        try:
            machines = await asyncio.to_thread(ray.nodes)
        except (ValueError, ray.exceptions.RayError) as error:
            raise LinkDown(f"by Ray: {_first_line(error)}") from error
        found = addresses(node, machines)
        if not found:
            raise LinkDown("by Ray: no machine of this name has joined")
        return "\n".join(found).encode()


def addresses(node: str, machines: list[dict[str, Any]]) -> list[str]:
    """``machines``: as Ray lists them. One that has just gone may be among them yet."""
    mine = [each["Resources"] for each in machines if each["Alive"] and resource(node) in each["Resources"]]
    return [name.removeprefix(CALLS) for each in mine for name in each if name.startswith(CALLS)]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]


def ray_command(setup: RaySetup) -> list[str]:
    """→ what begins Ray on this machine and stays as long as it runs."""
    command = [sys.executable, "-m", "service.cluster.links.ray_start", "start", "--block", "--disable-usage-stats"]
    command += [f"--object-store-memory={OBJECT_STORE_BYTES}", "--log-style=record", "--log-color=false"]
    command += Ports(setup.ports).ray_options()
    command.append("--include-log-monitor=false")  # it reads all logs ten times a second, for drivers that ask for none
    if setup.host:
        command.append(f"--node-ip-address={setup.host}")
    if setup.head:
        port = setup.address.rpartition(":")[2]
        return [*command, "--head", f"--port={port}", *HEAD, *NO_WORK]
    # A folder of its own: nodes that begin at once on one host would take the same names for their sockets.
    command.append(f"--temp-dir={gettempdir()}/ray-{hashlib.sha256(setup.name.encode()).hexdigest()[:8]}")
    told = {resource(setup.name): 1, **({CALLS + setup.calls: 1} if setup.calls else {})}
    return [*command, f"--address={setup.address}", f"--resources={json.dumps(told)}"]


# Without what serves people and machines that are rented.
HEAD = ("--include-dashboard=false", "--no-monitor")
NO_WORK = ("--num-cpus=0", "--num-gpus=0")
CALLS = "actoscope-calls:"  # a resource of that beginning says where its machine's agent takes calls


def resource(node: str) -> str:
    return f"actoscope-{node}"


def _with_us() -> None:
    """In the child: it gets SIGTERM when this process ends, however that is, and ends what it has begun."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def carry(setup: RaySetup) -> int:
    """Until standard input or Ray ends. → the exit status."""
    ended = asyncio.Event()
    waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read))
    waiting.add_done_callback(lambda _: ended.set())
    if not setup.head and not await _head_answers(setup, ended):
        return 1
    begun = subprocess.Popen(
        ray_command(setup),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=_with_us,  # noqa: PLW1509 - it makes one system call, and takes no lock
        start_new_session=True,
    )
    try:
        if not await _joined(setup, begun, ended):
            return 1
        server = await _gate(setup) if setup.head else await asyncio.to_thread(ray.shutdown)  # it has joined
        log.info("Ray runs, %s", f"nodes join at {setup.address}" if setup.head else f"joined to {setup.address}")
        while begun.poll() is None and not ended.is_set():
            await asyncio.sleep(LOOK_S)
        if server is not None:
            await server.close()
        return 0 if ended.is_set() else 1
    finally:
        await _end(begun)


async def _head_answers(setup: RaySetup, ended: asyncio.Event) -> bool:
    """Ray on a node gives up where its head is not there yet, after a minute."""
    host, _, port = setup.address.rpartition(":")
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and not ended.is_set():
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 2.0)
        except (OSError, asyncio.TimeoutError):
            await asyncio.sleep(LOOK_S)
        else:
            writer.close()
            return True
    log.error("nobody answers at %s", setup.address)
    return False


async def _joined(setup: RaySetup, begun: subprocess.Popen[bytes], ended: asyncio.Event) -> bool:
    """Tries until Ray takes this process as a driver, which shows that it runs; not for longer than START_S."""
    loop = asyncio.get_running_loop()
    deadline_s, problem = loop.time() + START_S, "it has not begun"
    while loop.time() < deadline_s and not ended.is_set():
        if begun.poll() is not None:
            log.error("Ray ended at its start with status %d", begun.returncode)
            return False
        try:
            await asyncio.to_thread(_init, setup)
            return True
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            problem = _first_line(error)
            await asyncio.sleep(LOOK_S)
    log.error("Ray cannot be joined at %s: %s", setup.address, problem)
    return False


def _init(setup: RaySetup) -> None:
    options: dict[str, Any] = {"_node_ip_address": setup.host} if setup.host else {}
    options |= {"log_to_driver": False, "configure_logging": False}
    ray.init(setup.address, namespace=NAMESPACE, **options)


async def _gate(setup: RaySetup) -> SocketServer:
    server = SocketServer(Path(setup.socket), Gate().serve)
    await server.open()
    return server


async def _end(begun: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        begun.terminate()
    try:
        await asyncio.to_thread(begun.wait, 10)
    except subprocess.TimeoutExpired:
        os.killpg(begun.pid, signal.SIGKILL)


async def run(setup: RaySetup) -> None:
    """Ends this process here and now: ``asyncio.run`` would wait for the thread that waits for standard input, for as
    long as its owner lives; and Ray has threads of its own.
    """
    status = 1
    try:
        status = await carry(setup)
    except Exception:  # the process's outermost frame
        log.exception("Ray cannot be spoken to")
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    setup = RaySetup(**json.loads(sys.stdin.readline()))
    logs.configure(setup.log_level, setup.log_format)
    asyncio.run(run(setup))


if __name__ == "__main__":
    main()
