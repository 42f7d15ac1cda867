"""Connections as they reach the guard, behind ``proxy.py``, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from service.proxy import BehindProxy

TRUSTED = ("127.0.0.1", "::1", "10.0.0.0/8")


def connection(*headers: tuple[str, str], client: str = "127.0.0.1", **scope: Any) -> HTTPConnection:
    seen: list[HTTPConnection] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(HTTPConnection(scope))

    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    asked = {"type": "http", "scheme": "http", "path": "/", "http_version": "1.1", "client": (client, 5), **scope}
    coroutine: Any = BehindProxy(app, TRUSTED)({**asked, "headers": raw}, None, None)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        coroutine.send(None)
    return seen[0]
