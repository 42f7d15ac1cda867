"""What a reverse proxy says of a request that it hands on: the host and scheme that the client used, and the path below
which it publishes the service.

``X-Forwarded-Host`` and ``-Proto`` decide which web page is one of ours, ``X-Forwarded-For`` who tries passwords, so
they count only from a proxy that the operator trusts. That there is a proxy at all is believed of anybody: such a
request is none of this machine's own (``access/peers.py``). The path is the operator's setting, and holds whether the
proxy takes it off or not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING

from service.access.peers import PEER, Peer, parse_address, rightmost_untrusted

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(rb"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_SAYS_PROXY = (  # how such headers begin
    *(b"forwarded", b"x-forwarded", b"x-real-ip", b"via", b"x-proxy-", b"x-original-", b"x-envoy-"),
    *(b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"cf-", b"fastly-client-ip"),
)
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
        peer = self._peer(scope)
        scope["state"] = {**scope.get("state", {}), PEER: peer}
        if peer.trusted:
            _believe(scope)
        if scope["type"] == "http" and self._root and scope["path"] == self._root:
            return await _redirect(self._root + "/", scope.get("query_string", b""), send)
        self._publish(scope)
        return await self._app(scope, receive, send)

    def _peer(self, scope: Scope) -> Peer:
        client = scope.get("client")
        address = parse_address(client[0]) if client else None
        text = str(address) if address is not None else ""
        trusted = address is not None and any(address in network for network in self._trusted)
        forwarded = any(name.startswith(_SAYS_PROXY) for name, _ in scope["headers"])
        behind = rightmost_untrusted(text, _hops(scope), self._trusted) if trusted else text
        return Peer(text, behind, trusted, forwarded)

    def _publish(self, scope: Scope) -> None:
        """ASGI's ``path`` has the root path in it; a proxy may have taken it off."""
        scope["root_path"] = self._root
        if self._root and not scope["path"].startswith(self._root + "/"):
            scope["path"] = self._root + scope["path"]
            scope["raw_path"] = self._root.encode() + scope.get("raw_path", b"")


def _hops(scope: Scope) -> list[str]:
    values: list[bytes] = [value for header, value in scope["headers"] if header == b"x-forwarded-for"]
    return [hop.strip() for value in values for hop in value.decode("latin-1").split(",")]


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
