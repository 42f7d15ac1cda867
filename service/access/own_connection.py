"""The connection that a websocket came by, for what ASGI has no word for: dropping it, bounding what it keeps."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope, Send

SEND_BUFFER_BYTES = 128 * 1024
ABORT = "abort"  # in a websocket's state: drops its connection


def keep_connection(scope: Scope, send: Send) -> None:
    """To be called by the outermost layer that wraps ``send``, while that is still the server's own."""
    state = scope.setdefault("state", {})
    if ABORT not in state:
        state[ABORT] = _own_connection(send)


def _own_connection(send: Send) -> Callable[[], None]:
    """Bounds what the kernel keeps for a websocket, → what drops its connection at once.

    ASGI has no word for either: a close waits for a client that never reads, whose backlog may grow to megabytes
    before anybody notices. uvicorn's protocol objects have their transport; with another server the connection ends
    when the client goes.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    abort = getattr(transport, "abort", None)
    if transport is None or not callable(abort):
        return lambda: None
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    drop: Callable[[], None] = abort
    return drop
