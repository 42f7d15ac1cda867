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
from functools import partial

from service.errors_base import ServiceError
from service.processes.ipc import Channel
from service.processes.lending.clip_jpeg import MAX_BYTES
from service.processes.lending.proof import NUMBER, PROOF, patient, proof
from service.processes.lending.strangers import Strangers

log = logging.getLogger(__name__)

MAX_GUESTS = 256  # connections that were let in, one a stream
GREETING_S = 3.0
SEND_TIMEOUT_S = 2.0
AGAIN_S = 0.1
SAY_S = 10.0  # between two lines of the log about the same cause
MAX_BODY_BYTES = MAX_BYTES + (1 << 16)
CAUSES = ("token", "crowded", "full")
_MAGIC = b"actoscope-loan-2"
_BACKLOG = 64


class NotAdmitted(ServiceError, ConnectionError):
    """The other side does not have the cluster's token, or is something else altogether."""


class Door:
    """Takes connections at a port of ``host`` until ``close``; 0: any that is free. Raises OSError where it cannot."""

    def __init__(self, host: str, token: str, port: int = 0) -> None:
        self._token = token
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        self._places = threading.BoundedSemaphore(MAX_GUESTS)
        self._strangers = Strangers()
        self._turned_away = dict.fromkeys(CAUSES, 0)
        self._said_s: dict[str, float] = {}  # cause → when it was last in the log
        self._lock = threading.Lock()
        self._closed = False

    @property
    def turned_away(self) -> dict[str, int]:
        """→ how many by cause: no token (or none in time), crowded out before they had shown it, no place left."""
        with self._lock:
            return dict(self._turned_away)

    def run(self, serve: Callable[[Channel], None]) -> None:
        """Until ``close``: ``serve`` has a thread for each connection that is let in, and ends with it."""
        while True:
            try:
                sock, peer = self._socket.accept()
            except OSError as error:  # no file handle is left, or the other side went again
                if self._closed:
                    return
                log.warning("nobody could be let in: %s", error)
                time.sleep(AGAIN_S)
                continue
            self._strangers.add(sock, peer[0], partial(_hang_up, sock))
            threading.Thread(target=self._welcome, args=(sock, serve), name="loan", daemon=True).start()

    def _welcome(self, sock: socket.socket, serve: Callable[[Channel], None]) -> None:
        refusal = self._refusal(sock)
        if refusal is not None:
            self._refuse(sock, *refusal)
            return
        try:
            channel = _channel(sock)
        except OSError as error:
            log.debug("a loan ended before it began: %s", error)
            sock.close()
        else:
            serve(channel)
        finally:
            self._places.release()

    def _refusal(self, sock: socket.socket) -> tuple[str, str] | None:
        """→ the cause and its words; None: it has shown the token, and has a place from now on."""
        problem = ""
        try:
            greet(sock, self._token)
        except OSError as error:
            problem = str(error) or type(error).__name__
        if not self._strangers.remove(sock):
            return "crowded", "too many who do not show the token come at once"
        if problem:
            return "token", problem
        return None if self._places.acquire(blocking=False) else ("full", f"more than {MAX_GUESTS} connections")

    def _refuse(self, sock: socket.socket, cause: str, why: str) -> None:
        now = time.monotonic()
        with self._lock:
            self._turned_away[cause] += 1
            is_news = now - self._said_s.get(cause, -SAY_S) >= SAY_S
            if is_news:
                self._said_s[cause] = now
        if is_news:  # whoever comes again and again does not fill the log; all are counted
            log.warning("somebody who wanted to have clips classified was turned away: %s", why)
        sock.close()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._socket.close()
        self._strangers.end_all()


def _hang_up(sock: socket.socket) -> None:
    """Wakes whoever reads from it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


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
    ours, until_s = secrets.token_bytes(NUMBER), time.monotonic() + GREETING_S
    sock.settimeout(GREETING_S)
    sock.sendall(_MAGIC + ours)
    answer = _read(sock, NUMBER + PROOF, until_s)
    theirs, shown = answer[:NUMBER], answer[NUMBER:]
    if not hmac.compare_digest(shown, proof(token, _MAGIC + b"borrower", ours, theirs)):
        raise NotAdmitted("it does not have this cluster's token")
    sock.sendall(proof(token, _MAGIC + b"lender", theirs, ours))


def knock(sock: socket.socket, token: str) -> None:
    """The borrower's half. Raises NotAdmitted, OSError."""
    until_s = time.monotonic() + GREETING_S
    sock.settimeout(GREETING_S)
    hello = _read(sock, len(_MAGIC) + NUMBER, until_s)
    if not hello.startswith(_MAGIC):
        raise NotAdmitted("nobody lends there, or another version")
    theirs, ours = hello[len(_MAGIC) :], secrets.token_bytes(NUMBER)
    sock.sendall(ours + proof(token, _MAGIC + b"borrower", theirs, ours))
    if not hmac.compare_digest(_read(sock, PROOF, until_s), proof(token, _MAGIC + b"lender", ours, theirs)):
        raise NotAdmitted("who lends there does not have this cluster's token")


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
    patient(sock)
    return Channel(sock, SEND_TIMEOUT_S, MAX_BODY_BYTES)
