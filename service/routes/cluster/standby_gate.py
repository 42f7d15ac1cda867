"""What an API that stands by answers to whatever changes something, and to websockets: not here, and where."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.errors import problem_response, to_problem

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = HTTPStatus.SERVICE_UNAVAILABLE


class StandbyGate:
    """ASGI middleware, behind the guard: strangers are not told who leads."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        context: Any = scope["app"].state.context
        reads = scope["type"] == "http" and scope["method"] in _READS
        if context.leads or reads:
            return await self._app(scope, receive, send)
        response = problem_response(to_problem(context.cluster.refusal()), scope["path"])
        if scope["type"] == "websocket":
            return await WebSocket(scope, receive, send).send_denial_response(response)
        return await response(scope, receive, send)
