"""Where a request comes from: the peer of the connection, the client behind a trusted proxy, the host that is meant.

``proxy.py`` makes a Peer of each request, before anything else looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

PEER = "peer"  # in a request's state
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Peer:
    """``address`` of the connection ("" where there is none); ``client``: who is behind it, as far as trusted proxies
    say; ``forwarded``: whether anything says that a proxy is between, trusted or not.
    """

    address: str
    client: str
    trusted: bool
    forwarded: bool

    @property
    def is_this_machine(self) -> bool:
        address = parse_address(self.address)
        return address is not None and address.is_loopback


def peer_of(connection: HTTPConnection) -> Peer:
    """→ what ``proxy.py`` found. Raises KeyError without it: nobody is believed to be local by mistake."""
    state: dict[str, Any] = connection.scope["state"]
    peer: Peer = state[PEER]
    return peer


def parse_address(text: str) -> Address | None:
    """IPv4 within IPv6 as IPv4; None for what is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def host_of(connection: HTTPConnection) -> str:
    """→ the host that the client means, as it may have been changed by a trusted proxy; "" if there is not one."""
    hosts = connection.headers.getlist("host")
    return hosts[0] if len(hosts) == 1 and _HOST.fullmatch(hosts[0]) else ""


def host_name(host: str) -> str:
    """``Localhost.:8000`` → localhost, ``[::1]:8000`` → ::1."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")


def is_loopback_name(host: str) -> bool:
    """Names that no name server is asked for; any other may point to this machine and belong to somebody else."""
    name = host_name(host)
    address = parse_address(name)
    return address.is_loopback if address else name == "localhost" or name.endswith(".localhost")


def is_allowed_host(host: str, allowed: Iterable[str], scheme: str, peer: Peer) -> bool:
    """An entry without a port stands for every port."""
    if peer.is_this_machine and is_loopback_name(host):
        return True
    name = host_name(host)
    given = host.partition("]")[2] if host.startswith("[") else host
    port = given.rpartition(":")[2] if ":" in given else _DEFAULT_PORTS.get(scheme, "")
    return any(entry in (name, f"{name}:{port}", f"[{name}]:{port}") for entry in map(_normal, allowed))


def is_local(connection: HTTPConnection) -> bool:
    """Whether somebody at this machine asks, with no proxy between as far as can be told.

    A host of another name is a page's that has its name point here (DNS rebinding). HTTP/1.0 is what a proxy speaks
    that was told nothing; browsers and curl do not.
    """
    peer = peer_of(connection)
    old = connection.scope.get("http_version") == "1.0"
    return peer.is_this_machine and not peer.forwarded and not old and is_loopback_name(host_of(connection))


def rightmost_untrusted(peer: str, hops: Iterable[str], trusted: Collection[Any]) -> str:
    """``X-Forwarded-For`` grows to the right: the last hop that no trusted proxy stands behind is the client."""
    client = peer
    for hop in reversed(list(hops)):
        address = parse_address(_without_port(hop))
        if address is None:
            return client
        client = str(address)
        if not any(address in network for network in trusted):
            return client
    return client


def _without_port(hop: str) -> str:
    """Some proxies add the port."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _normal(entry: str) -> str:
    name, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    plain = name.lower().removesuffix(".")
    plain = plain[1:-1] if plain.startswith("[") and plain.endswith("]") else plain
    return f"{plain}:{port}" if port else plain
