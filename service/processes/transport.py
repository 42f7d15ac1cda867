"""Where processes meet: addresses, and the channels between whoever listens there and whoever connects.

An address is a URL, ``unix:///run/actoscope/inference.sock``. Those who listen and connect know nothing else of it, so
that another way (TCP between machines) is one more row of ``_SCHEMES``.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from service.processes.ipc import Channel

_BACKLOG = 64


class _Scheme(Protocol):
    """One kind of address; both raise OSError."""

    def connect(self, place: str, timeout_s: float) -> socket.socket: ...

    def listen(self, place: str) -> socket.socket: ...

    def clear(self, place: str) -> None:
        """Removes what listening left behind."""


class _UnixSockets:
    """``place`` is a path; only this user may connect."""

    def connect(self, place: str, timeout_s: float) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout_s)
            sock.connect(place)
        except OSError:
            sock.close()
            raise
        return sock

    def listen(self, place: str) -> socket.socket:
        self.clear(place)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(place)
        Path(place).chmod(0o600)
        listener.listen(_BACKLOG)
        return listener

    def clear(self, place: str) -> None:
        Path(place).unlink(missing_ok=True)


_SCHEMES: Mapping[str, _Scheme] = {"unix": _UnixSockets()}


def unix_address(path: Path) -> str:
    """→ the address of a local socket; a path has at most 107 bytes."""
    return f"unix://{path}"


def connect(address: str, timeout_s: float = 5.0, send_timeout_s: float = 10.0) -> Channel:
    """→ a channel to whoever listens at ``address``. Raises OSError when nobody does, ValueError for no address."""
    scheme, place = _split(address)
    return Channel(scheme.connect(place, timeout_s), send_timeout_s)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """→ both ends of a connection between a process and its child, who gets its end by inheritance."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class Listener:
    """Takes connections at ``address`` until ``close``. Raises OSError when it cannot, ValueError for no address."""

    def __init__(self, address: str) -> None:
        self._scheme, self._place = _split(address)
        self._socket = self._scheme.listen(self._place)

    def accept(self) -> Channel:
        """Waits for the next one. Raises OSError once ``close`` was called."""
        sock, _ = self._socket.accept()
        return Channel(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which closing would not
        self._socket.close()
        self._scheme.clear(self._place)


def _split(address: str) -> tuple[_Scheme, str]:
    name, _, place = address.partition("://")
    if name not in _SCHEMES or not place:
        raise ValueError(f"expected an address such as unix:///run/inference.sock, got {address!r}")
    return _SCHEMES[name], place
