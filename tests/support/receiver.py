"""A receiver of webhooks on loopback that answers as its script says: statuses, silence, a reset, a redirect."""

from __future__ import annotations

import http.server
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback_server import LoopbackServer

HANG = "hang"
RESET = "reset"
STALL = "stall"


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float = 0.0  # monotonic

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    way: str = ""  # HANG, RESET, or STALL: never comes to the end of its body


OK = Reply()


class Receiver(LoopbackServer):
    """``reply`` says what a request is answered with; ``received`` has all requests, also those that were refused,
    but for those that ended before their end."""

    def __init__(self, reply: Callable[[Received], Reply] = lambda _: OK) -> None:
        super().__init__()
        self.reply = reply
        self.received: list[Received] = []
        self._lock = threading.Lock()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        size = int(request.headers.get("content-length", 0))
        body = request.rfile.read(size)
        if len(body) < size:  # the sender died within its request
            request.close_connection = True
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path, headers, body, time.monotonic())
        with self._lock:
            self.received.append(received)
            reply = self.reply(received)
        if reply.way == HANG:
            self.closing.wait(60)
            return
        if reply.way == RESET:
            reset(request.connection)
            request.close_connection = True
            return
        request.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(reply.body)
        if reply.way == STALL:
            self.closing.wait(60)


def reset(connection: Any) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)
    connection.close()


def script(*replies: Reply) -> Callable[[Received], Reply]:
    """One reply after the other, the last for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
