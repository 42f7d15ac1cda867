"""The way from one node's inference process to another's: TCP, between those who have the cluster's token.

Both sides show that they have it, and it does not cross: each answers the other's random number with an HMAC-SHA256 of
both numbers. What crosses afterwards is not encrypted, as nothing is between a cluster's machines (docs/cluster.md).
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable

from service.errors_base import ServiceError
from service.processes.ipc import Channel
from service.processes.lending.clip_jpeg import MAX_BYTES

log = logging.getLogger(__name__)

MAX_GUESTS = 256  # connections, one a stream
GREETING_S = 3.0
SEND_TIMEOUT_S = 2.0
AGAIN_S = 0.1
MAX_BODY_BYTES = MAX_BYTES + (1 << 16)
_MAGIC = b"actoscope-loan-1"
_NUMBER = 32
_PROOF = 32
_BACKLOG = 64
# A machine that loses its power closes no connection.
_IDLE_S, _BETWEEN_S, _PROBES, _UNSENT_MS = 2, 1, 3, 5000


class NotAdmitted(ServiceError, ConnectionError):
    """The other side does not have the cluster's token, or is something else altogether."""


class Door:
    """Takes connections at a free port of ``host`` until ``close``. Raises OSError where it cannot listen."""

    def __init__(self, host: str, token: str) -> None:
        self._token = token
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=_BACKLOG)
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        self._places = threading.BoundedSemaphore(MAX_GUESTS)
        self.turned_away = 0
        self._closed = False

    def run(self, serve: Callable[[Channel], None]) -> None:
        """Until ``close``: ``serve`` has a thread for each connection that is let in, and ends with it."""
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError as error:  # no file handle is left, or the other side went again
                if self._closed:
                    return
                log.warning("nobody could be let in: %s", error)
                time.sleep(AGAIN_S)
                continue
            if not self._places.acquire(blocking=False):
                self._refuse(sock, f"more than {MAX_GUESTS} connections")
                continue
            threading.Thread(target=self._welcome, args=(sock, serve), name="loan", daemon=True).start()

    def _welcome(self, sock: socket.socket, serve: Callable[[Channel], None]) -> None:
        try:
            greet(sock, self._token)
        except OSError as error:
            self._refuse(sock, str(error))
        else:
            serve(_channel(sock))
        finally:
            self._places.release()

    def _refuse(self, sock: socket.socket, why: str) -> None:
        self.turned_away += 1
        log.warning("somebody who wanted to have clips classified was turned away: %s", why)
        sock.close()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._socket.close()


def enter(address: str, token: str) -> Channel:
    """→ a channel to the node that lends at ``address``. Raises OSError, NotAdmitted among them."""
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), GREETING_S)
    try:
        knock(sock, token)
        return _channel(sock)
    except OSError:
        sock.close()
        raise


def greet(sock: socket.socket, token: str) -> None:
    """The lender's half. Raises NotAdmitted, OSError."""
    ours, until_s = secrets.token_bytes(_NUMBER), time.monotonic() + GREETING_S
    sock.settimeout(GREETING_S)
    sock.sendall(_MAGIC + ours)
    answer = _read(sock, _NUMBER + _PROOF, until_s)
    theirs, proof = answer[:_NUMBER], answer[_NUMBER:]
    if not hmac.compare_digest(proof, _proof(token, b"borrower", ours, theirs)):
        raise NotAdmitted("it does not have this cluster's token")
    sock.sendall(_proof(token, b"lender", theirs, ours))


def knock(sock: socket.socket, token: str) -> None:
    """The borrower's half. Raises NotAdmitted, OSError."""
    until_s = time.monotonic() + GREETING_S
    sock.settimeout(GREETING_S)
    hello = _read(sock, len(_MAGIC) + _NUMBER, until_s)
    if not hello.startswith(_MAGIC):
        raise NotAdmitted("nobody lends there, or another version")
    theirs, ours = hello[len(_MAGIC) :], secrets.token_bytes(_NUMBER)
    sock.sendall(ours + _proof(token, b"borrower", theirs, ours))
    if not hmac.compare_digest(_read(sock, _PROOF, until_s), _proof(token, b"lender", ours, theirs)):
        raise NotAdmitted("who lends there does not have this cluster's token")


def _proof(token: str, who: bytes, asked: bytes, own: bytes) -> bytes:
    return hmac.digest(token.encode(), _MAGIC + who + asked + own, "sha256")


def _read(sock: socket.socket, count: int, until_s: float) -> bytes:
    """Raises OSError where it has not come by then."""
    data = b""
    while len(data) < count:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no greeting in time")
        sock.settimeout(left_s)
        piece = sock.recv(count - len(data))
        if not piece:
            raise NotAdmitted("the other side hung up")
        data += piece
    return data


def _channel(sock: socket.socket) -> Channel:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _BETWEEN_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNSENT_MS)
    return Channel(sock, SEND_TIMEOUT_S, MAX_BODY_BYTES)
