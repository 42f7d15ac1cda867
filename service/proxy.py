"""What a reverse proxy says of a request that it hands on: the host and scheme that the client used, and the path below
which it publishes the service.

``X-Forwarded-Host`` and ``-Proto`` decide which web page is one of ours, so they count only from a proxy that the
operator trusts. The path is the operator's setting, and holds whether the proxy takes it off or not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(rb"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_SECURE = {"http": {b"http": "http", b"https": "https"}, "websocket": {b"http": "ws", b"https": "wss"}}


class BehindProxy:
    """ASGI middleware, the outermost: everything further in sees the request as the client made it."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str] = (), root_path: str = "") -> None:
        self._app = app
        self._trusted = [ip_network(each, strict=False) for each in trusted]
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        scope = dict(scope)
        if self._trusts(scope.get("client")):
            _believe(scope)
        if scope["type"] == "http" and self._root and scope["path"] == self._root:
            return await _redirect(self._root + "/", scope.get("query_string", b""), send)
        self._publish(scope)
        return await self._app(scope, receive, send)

    def _trusts(self, client: tuple[str, int] | None) -> bool:
        address = _address(client[0]) if client else None
        return address is not None and any(address in network for network in self._trusted)

    def _publish(self, scope: Scope) -> None:
        """ASGI's ``path`` has the root path in it; a proxy may have taken it off."""
        scope["root_path"] = self._root
        if self._root and not scope["path"].startswith(self._root + "/"):
            scope["path"] = self._root + scope["path"]
            scope["raw_path"] = self._root.encode() + scope.get("raw_path", b"")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None  # a socket without addresses
    return getattr(address, "ipv4_mapped", None) or address


def _believe(scope: Scope) -> None:
    """The last value is the trusted proxy's own; those before it may be the client's."""
    host, scheme = (_last(scope, name) for name in (b"x-forwarded-host", b"x-forwarded-proto"))
    if _HOST.fullmatch(host):
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"host"] + [(b"host", host)]
    scope["scheme"] = _SECURE[scope["type"]].get(scheme.lower(), scope["scheme"])


def _last(scope: Scope, name: bytes) -> bytes:
    values: list[bytes] = [value for header, value in scope["headers"] if header == name]
    return values[-1].rpartition(b",")[2].strip() if values else b""


async def _redirect(path: str, query: bytes, send: Send) -> None:
    """The page names its files relative to a folder."""
    place = path.encode() + (b"?" + query if query else b"")
    headers = [(b"location", place), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
