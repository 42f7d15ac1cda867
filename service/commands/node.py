"""``actoscope node``: this machine runs streams of a cluster, as long as it is not told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

from service import logs
from service.cluster.agent.lenders import lending_setup
from service.cluster.agent.node import Node
from service.cluster.links.addresses import cluster_database
from service.cluster.links.direct_link import DirectServer
from service.cluster.links.errors import ClusterError
from service.cluster.links.ports import Ports
from service.cluster.links.ray_child import RayChild
from service.cluster.links.ray_setup import RaySetup, check_ray, own_address
from service.cluster.links.token import check_token, ray_environment, read_token
from service.commands.runtime_option import add_runtime
from service.recording.locks import DataDirLock
from service.settings import Settings, load_settings
from service.storage.cluster.leader import Leader, read_leader
from service.storage.database import StoreError
from service.supervisor import ProcessSupervisor

log = logging.getLogger(__name__)

LOOK_S = 2.0
GONE_S = 30.0  # an API that was silent for so long leads nothing that could be joined


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", dest="node", help="this node's name (default: ACTOSCOPE_NODE or the host's name)")
    parser.add_argument("--site", dest="cluster_site", help="where it is (default: ACTOSCOPE_CLUSTER_SITE)")
    parser.add_argument(
        "--classify",
        dest="cluster_classify",
        nargs="?",
        const="always",
        choices=("auto", "always", "never"),
        help="classify clips of nodes that cannot (default: ACTOSCOPE_CLUSTER_CLASSIFY, or where a GPU is)",
    )
    add_runtime(parser)


def run(arguments: argparse.Namespace) -> int:
    """Until SIGINT or SIGTERM; it lets go of its streams then. Raises ServiceError for what keeps it from starting."""
    given = {name: getattr(arguments, name) for name in ("node", "cluster_site", "cluster_classify", "runtime")}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    logs.configure(settings.log_level, settings.log_format)
    cluster_database(settings)
    check_ray()
    return asyncio.run(_serve(settings, check_token(settings.cluster_token)))


async def _serve(settings: Settings, token: Path) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.callback(DataDirLock(settings.data_dir).release)
        node = Node(settings, partial(ProcessSupervisor, lending=lending_setup(settings, token)))
        child = RayChild(ray_environment(token))
        stack.push_async_callback(child.close)
        stack.push_async_callback(node.close)
        await node.open()
        server = await _server(settings, node, read_token(token))
        stack.push_async_callback(server.close)
        child.open()
        log.info("node %s waits for orders", node.name)
        await _follow(settings, node, child, server.address, stop)
        await node.leave()
    return 0


async def _server(settings: Settings, node: Node, token: str) -> DirectServer:
    """→ where the leader calls. Raises ClusterError where nobody could."""
    host = settings.cluster_host or own_address()
    port = Ports(settings.cluster_ports).calls
    server = DirectServer(node.name, host, port, token, lambda _, method, __, body: node.desk.answer(method, body))
    if not settings.cluster_host and host.startswith("127."):
        log.warning("no network is up: only an API on this machine can call this node. Set ACTOSCOPE_CLUSTER_HOST")
    try:
        await server.open()
    except OSError as error:
        raise ClusterError(f"ACTOSCOPE_CLUSTER_HOST: this machine cannot be called at {host}: {error}") from error
    return server


async def _follow(settings: Settings, node: Node, child: RayChild, calls: str, stop: asyncio.Event) -> None:
    """Joins whoever leads, and joins anew when another does. Where nobody can be asked, what is goes on."""
    waiting = asyncio.ensure_future(stop.wait())
    while not stop.is_set():
        try:
            leader = await node.database.read(read_leader)
        except StoreError as error:
            log.warning("who leads is not known now: %s", error)
        else:
            if leader is not None and leader.silent_s < GONE_S:
                child.go(asdict(_setup(settings, leader, calls)))
        await asyncio.wait({waiting}, timeout=LOOK_S)


def _setup(settings: Settings, leader: Leader, calls: str) -> RaySetup:
    return RaySetup(
        head=False,
        name=settings.node_name,
        address=leader.ray_address,
        host=settings.cluster_host,
        calls=calls,
        ports=settings.cluster_ports,
        log_level=settings.log_level,
        log_format=settings.log_format,
        epoch=leader.epoch,
    )
