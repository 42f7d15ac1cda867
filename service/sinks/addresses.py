"""Which addresses messages may go to: an admin's sink must not become a way to what only this machine reaches.

The host is resolved once, *every* address is checked, and the connection goes to one of those that were checked; so a
name that points elsewhere a moment later, or a host in octal, gains nothing. The local network is allowed, since
Home Assistant lives there. Loopback is, where the operator names the host in ``ACTOSCOPE_SINK_HOSTS``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from service.errors_base import ServiceError

log = logging.getLogger(__name__)

T = TypeVar("T")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_NO_ADDRESS = "the host's name has no address"
MAX_ADDRESSES = 16  # of one name; more are not tried
# Cloud machines ask them for their own credentials; others of that kind are link-local.
_METADATA = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")  # Linux takes 0.0.0.0 for itself
_NOWHERE = ipaddress.ip_network("240.0.0.0/4")
# IPv4 inside IPv6: compatible, and by way of NAT64, where the last four bytes are the address.
_LAST_FOUR = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")))


class AddressRefused(ServiceError, PermissionError):
    """A sink's host has an address that messages never go to."""


class Unreachable(ServiceError, OSError):
    """A sink's host has no address now, or does not answer in time."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """→ the addresses of a host, as the system knows them. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Gate:
    """Opens connections to hosts of sinks. ``loopback_hosts``: names and addresses that may be this machine."""

    def __init__(self, loopback_hosts: Sequence[str] = (), resolver: Resolver = resolve) -> None:
        self._loopback_hosts = frozenset(_plain(host) for host in loopback_hosts)
        self._resolve = resolver

    async def addresses(self, host: str, port: int) -> list[Address]:
        """→ what may be connected to. Raises AddressRefused where one address may not, and Unreachable."""
        try:
            texts = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise Unreachable(_NO_ADDRESS) from None
        found = list(dict.fromkeys(ipaddress.ip_address(text) for text in texts))
        if not found:
            raise Unreachable(_NO_ADDRESS)
        for address in found:
            self._check(host, address)
        return found[:MAX_ADDRESSES]

    async def connect(self, host: str, port: int, timeout_s: float, dial: Callable[[Address, int], Awaitable[T]]) -> T:
        """→ what ``dial`` makes of the first address that answers. Raises AddressRefused, OSError."""
        deadline = time.monotonic() + timeout_s
        addresses = await _within(timeout_s, self.addresses(host, port))
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share_s = max(0.1, (deadline - time.monotonic()) / left)  # one that is silent does not take all the time
            try:
                return await _within(share_s, dial(address, port))
            except OSError as failure:
                if left == 1:
                    raise
                log.debug("%s: %s; the next address is tried", host, failure)
        raise Unreachable(_NO_ADDRESS)

    def _check(self, host: str, address: Address) -> None:
        for each in (address, *embedded(address)):
            if (reason := refused(each)) is not None:
                raise AddressRefused(f"messages never go to {reason} addresses")
            if each.is_loopback and _plain(host) not in self._loopback_hosts:
                raise AddressRefused("messages go to this machine only where ACTOSCOPE_SINK_HOSTS names the host")


def refused(address: Address) -> str | None:
    """→ what kind of address it is that nothing is ever sent to; None for others."""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "scoped"
    if address in _METADATA:
        return "metadata"
    if address.is_unspecified or (address.version == 4 and address in _THIS_NETWORK):
        return "unspecified"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    return "reserved" if address.version == 4 and address in _NOWHERE else None


def embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """→ IPv4 addresses that an IPv6 address stands for: mapped, compatible, NAT64, 6to4, Teredo."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or address.is_unspecified:
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _LAST_FOUR):
        found.append(ipaddress.IPv4Address(address.packed[-4:]))
    return [each for each in found if each is not None]


async def _within(timeout_s: float, awaitable: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(awaitable, timeout_s)
    except asyncio.TimeoutError:
        raise Unreachable(f"no connection within {timeout_s:.3g} s") from None


async def open_socket(address: Address, port: int) -> socket.socket:
    """→ a connected socket that does not block. Raises OSError."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()
