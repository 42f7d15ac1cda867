"""What the process that speaks Ray is told, and whether there is Ray at all. Imports no Ray."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from importlib.util import find_spec

from service.cluster.links.errors import ClusterError


@dataclass(frozen=True, slots=True)
class RaySetup:
    """``head``: this API begins Ray, else a node joins it. ``address``: host and port of the head; ``host``: of this
    machine, empty: found; ``socket``: where an API asks for nodes; ``calls``: where a node's agent takes calls, host
    and port. ``ports``: see ``Ports``. ``epoch``: of the leader that a node joins, so that it joins the next one anew.
    """

    head: bool
    name: str
    address: str
    host: str
    socket: str = ""
    calls: str = ""
    ports: int = 0
    log_level: str = "info"
    log_format: str = "text"
    epoch: int = 0


def check_ray() -> None:
    """Raises ClusterError where Ray is not installed."""
    if find_spec("ray") is None:
        raise ClusterError("the cluster mode needs more packages: pip install -e '.[cluster,postgres]'")


def own_address() -> str:
    """→ the address that this machine is likely to be reached by; 127.0.0.1 where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of no machine (RFC 5737); nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
