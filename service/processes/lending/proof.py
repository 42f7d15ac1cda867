"""How two processes of a cluster show each other, over TCP, that they have its token: it does not cross.

Each answers the other's random number with an HMAC-SHA256 of both numbers, of what is spoken, and of which side it is.
"""

from __future__ import annotations

import hmac
import socket

NUMBER = 32  # bytes of a random number
PROOF = 32
# A machine that loses its power closes no connection.
_IDLE_S, _BETWEEN_S, _PROBES, _UNSENT_MS = 2, 1, 3, 5000


def proof(token: str, who: bytes, asked: bytes, own: bytes) -> bytes:
    """``who``: what is spoken, and by which side; ``asked``: the other side's number."""
    return hmac.digest(token.encode(), who + asked + own, "sha256")


def patient(sock: socket.socket) -> None:
    """From now on its end is noticed within seconds, also where the other machine has no power. Raises OSError."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _BETWEEN_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNSENT_MS)
