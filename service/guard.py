"""The one gate in front of everything: each HTTP request and each websocket passes here before any route sees it.

``Admission`` decides by which host is meant, which web page asks, and by the kind and size of what the request brings;
then who asks is found out, and whether the route's permission is his. All of that before a byte of the body is read.
What is raised becomes an answer in ``errors``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.access.gate import let_in
from service.access.own_connection import keep_connection
from service.access.peers import host_of, is_allowed_host, peer_of
from service.errors import problem_response, to_problem, unreadable_body
from service.errors_base import Forbidden, NotJson, ServiceError, TooLarge, WrongHost, shown
from service.rights import OPEN

MAX_BODY_BYTES = 64 * 1024
_TOO_LARGE = f"expected a body of at most {MAX_BODY_BYTES} bytes"
_OTHER_PAGES = "requests from other web pages are refused"
PRINCIPAL = "principal"  # in the state of a request that was let in; None where the route is open
_PORTS = {"http": 80, "https": 443}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Admission:
    """``hosts``: values of Host that may be asked for, none: any; ``origins``: web pages that count as ours."""

    def __init__(self, hosts: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        self._hosts = tuple(hosts)
        self._origins = frozenset(map(_place, origins))

    def check(self, connection: HTTPConnection) -> None:
        """Raises WrongHost, Forbidden, TooLarge or NotJson for what may not come in, whoever asks."""
        self._check_host(connection)
        if connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE_METHODS:
            self._check_page(connection)
            _check_type(connection)
        length = connection.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            raise TooLarge(_TOO_LARGE)

    def check_embedding(self, connection: HTTPConnection) -> None:
        """What is not open to all is no part of another site's page. Raises Forbidden; programs do not send these."""
        site, mode, place = (connection.headers.get(f"sec-fetch-{name}") for name in ("site", "mode", "dest"))
        opened = mode == "navigate" and place in (None, "document")  # not within a frame of that page
        if site == "cross-site" and not opened and not self._is_listed(connection):
            raise Forbidden(_OTHER_PAGES)

    def _check_host(self, connection: HTTPConnection) -> None:
        host = host_of(connection)
        if self._hosts and not is_allowed_host(host, self._hosts, connection.scope["scheme"], peer_of(connection)):
            raise WrongHost(f"expected a Host of ACTOSCOPE_HOSTS, got {shown(host) or 'none'}")

    def _check_page(self, connection: HTTPConnection) -> None:
        """A browser names the page that asks, and how far from here it is; other clients send neither."""
        if self._is_listed(connection):
            return
        check_origin(connection)
        if connection.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise Forbidden(_OTHER_PAGES)

    def _is_listed(self, connection: HTTPConnection) -> bool:
        return _place(connection.headers.get("origin", "")) in self._origins


def check_origin(connection: HTTPConnection) -> None:
    """Raises Forbidden unless the page that asks is one of ours."""
    origin = connection.headers.get("origin")
    if origin is None:
        return
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"], connection.scope["scheme"])
    asking = _place(origin)
    # Behind a proxy that does not say so, https comes in as http. The other way round the page is another one.
    own = _place(f"{scheme if scheme == 'https' else asking[0]}://{connection.headers.get('host', '')}")
    if asking != own or not asking[1]:
        raise Forbidden(_OTHER_PAGES)


def _check_type(connection: HTTPConnection) -> None:
    """A form of another page can be sent without asking first, JSON cannot. Raises NotJson."""
    given = connection.headers.get("content-type", "")
    if given and given.partition(";")[0].strip().lower() != "application/json":
        raise NotJson(f"expected a body of application/json, got {shown(given)}")


def _place(origin: str) -> tuple[str, str, int | None]:
    """→ (scheme, host, port); empty where the text is no origin."""
    try:
        parts = urlsplit(origin.lower())
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None


class Guard:
    """ASGI middleware. A websocket that is refused gets its answer as an HTTP response, before it is opened.

    ``permission_at``: what the route of a request needs. The principal is kept in the request's state.
    """

    def __init__(self, app: ASGIApp, permission_at: Callable[[Scope], str], admission: Admission) -> None:
        self._app = app
        self._permission_at = permission_at
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            keep_connection(scope, send)
        try:
            await self._let_in(HTTPConnection(scope))
        except ServiceError as error:
            return await _refuse(error, scope, receive, send)
        return await self._app(scope, receive if scope["type"] == "websocket" else _limited(receive), send)

    async def _let_in(self, connection: HTTPConnection) -> None:
        """Raises ServiceError."""
        self._admission.check(connection)
        permission = self._permission_at(connection.scope)
        if permission != OPEN:
            self._admission.check_embedding(connection)
        context = connection.scope["app"].state.context
        principal = await let_in(connection, permission, context.access, context.audit)
        connection.scope["state"][PRINCIPAL] = principal


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_response(to_problem(error), scope["path"])
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


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
