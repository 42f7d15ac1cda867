"""Guards in front of all routes: web pages of other sites are refused, and large bodies."""

from __future__ import annotations

import socket
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Problem, problem_response

MAX_BODY_BYTES = 64 * 1024
SEND_BUFFER_BYTES = 128 * 1024  # of a websocket
_TOO_LARGE = f"expected a body of at most {MAX_BODY_BYTES} bytes"
ABORT = "abort"  # in a websocket's state: drops its connection
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(headers: Headers) -> None:
    """A browser names the page that asks. Raises Problem 403 unless it is one of ours; other clients send no Origin."""
    origin = headers.get("origin")
    if origin is None:
        return
    host = headers.get("host", "")
    if urlsplit(origin).netloc.lower() != host.lower() or not host:
        raise Problem(HTTPStatus.FORBIDDEN, "requests from other web pages are refused")


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


class Guard:
    """ASGI middleware: 403 for changes from foreign origins, 413 for bodies over MAX_BODY_BYTES."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Here ``send`` is still the server's own; further in it is wrapped.
            scope.setdefault("state", {})[ABORT] = _own_connection(send)
            return await self._app(scope, receive, send)
        try:
            headers = Headers(scope=scope)
            if scope["method"] not in _SAFE_METHODS:
                check_origin(headers)
            length = headers.get("content-length", "0")
            if length.isdecimal() and int(length) > MAX_BODY_BYTES:
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        except Problem as problem:
            return await problem_response(problem, scope["path"])(scope, receive, send)
        return await self._app(scope, _limited(receive), send)


def _limited(receive: Receive) -> Receive:
    """For bodies that come in chunks and do not say how long they are."""
    taken = 0

    async def receive_limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            # FastAPI hands on no other exception of a body that cannot be read.
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return receive_limited
