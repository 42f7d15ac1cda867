"""Whom this process is connected to: FFmpeg follows an RTSP server that redirects, and does not say so."""

from __future__ import annotations

import socket

import psutil

from pipeline.sources.url import SourceUrl

Address = tuple[str, int]


def addresses(url: SourceUrl) -> frozenset[Address]:
    """→ where the URL's host may be found now; empty where its name cannot be resolved."""
    host = (url.host or "").replace("%25", "%")  # before a network interface (RFC 6874)
    try:
        found = socket.getaddrinfo(host, url.port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset((_plain(str(each[4][0])), int(each[4][1])) for each in found)


def is_connected(wanted: frozenset[Address]) -> bool:
    """Whether one of them is at the other end of a TCP connection of this process."""
    connections = psutil.Process().net_connections(kind="tcp")
    return any(bool(each.raddr) and (_plain(each.raddr.ip), each.raddr.port) in wanted for each in connections)


def _plain(address: str) -> str:
    """Without the network interface of an address of the own network, which the kernel does not repeat."""
    return address.partition("%")[0].lower()
