"""The one gate in front of everything: each HTTP request and each websocket passes here before any route sees it.

``admit`` decides, by where the request comes from and by the size of what it brings; who may do what is to be decided
here too. What it raises becomes an answer in ``errors``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.errors import problem_response, to_problem, unreadable_body
from service.errors_base import Forbidden, ServiceError, TooLarge

MAX_BODY_BYTES = 64 * 1024
SEND_BUFFER_BYTES = 128 * 1024  # of a websocket
_TOO_LARGE = f"expected a body of at most {MAX_BODY_BYTES} bytes"
ABORT = "abort"  # in a websocket's state: drops its connection
_PORTS = {"http": 80, "https": 443}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Admit = Callable[[HTTPConnection], None]


def admit(connection: HTTPConnection) -> None:
    """Raises Forbidden or TooLarge for what may not come in."""
    if connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE_METHODS:
        check_origin(connection)
    length = connection.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise TooLarge(_TOO_LARGE)


def check_origin(connection: HTTPConnection) -> None:
    """A browser names the page that asks. Raises Forbidden unless it is one of ours; other clients send no Origin."""
    origin = connection.headers.get("origin")
    if origin is None:
        return
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"], connection.scope["scheme"])
    asking = _place(origin)
    # Behind a proxy that does not say so, https comes in as http. The other way round the page is another one.
    own = _place(f"{scheme if scheme == 'https' else asking[0]}://{connection.headers.get('host', '')}")
    if asking != own or not asking[1]:
        raise Forbidden("requests from other web pages are refused")


def _place(origin: str) -> tuple[str, str, int | None]:
    """→ (scheme, host, port); empty where the text is no origin."""
    try:
        parts = urlsplit(origin.lower())
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None


class Guard:
    """ASGI middleware. A websocket that is refused gets its answer as an HTTP response, before it is opened."""

    def __init__(self, app: ASGIApp, admit: Admit = admit) -> None:
        self._app = app
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            # Here ``send`` is still the server's own; further in it is wrapped.
            scope.setdefault("state", {})[ABORT] = _own_connection(send)
        try:
            self._admit(HTTPConnection(scope))
        except ServiceError as error:
            return await _refuse(error, scope, receive, send)
        return await self._app(scope, receive if scope["type"] == "websocket" else _limited(receive), send)


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_response(to_problem(error), scope["path"])
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


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


def _limited(receive: Receive) -> Receive:
    """For bodies that come in chunks and do not say how long they are."""
    taken = 0

    async def receive_limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise unreadable_body(TooLarge(_TOO_LARGE))
        return message

    return receive_limited
