"""What an API that stands by answers to whatever changes something, and to websockets: not here, and where. A stranger,
who may try to log in, is not told where.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.cluster.standby import RETRY_AFTER_S, STANDS_BY
from service.errors import problem_response, to_problem
from service.errors_base import Unavailable
from service.guard import PRINCIPAL

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = HTTPStatus.SERVICE_UNAVAILABLE


class StandbyGate:
    """ASGI middleware, behind the guard, which knows who asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        context: Any = scope["app"].state.context
        reads = scope["type"] == "http" and scope["method"] in _READS
        if context.leads or reads:
            return await self._app(scope, receive, send)
        known = scope["state"].get(PRINCIPAL) is not None
        refusal = context.cluster.refusal() if known else Unavailable(STANDS_BY, RETRY_AFTER_S)
        response = problem_response(to_problem(refusal), scope["path"])
        if scope["type"] == "websocket":
            return await WebSocket(scope, receive, send).send_denial_response(response)
        return await response(scope, receive, send)
