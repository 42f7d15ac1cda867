"""The one place where requests enter the audit: what a route changed, what was refused, and who looked at pictures.

ASGI middleware, outside of the gate that lets requests in. A change is written down before its answer leaves; a route
says by ``needs`` what it is about, so none has to think of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.access.audit import VIEW
from service.access.audit_protocol import Audit
from service.access.own_connection import keep_connection
from service.access.peers import PEER, Peer
from service.rights import OPEN, SELF, Principal, needed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DENIED = "denied"
GATE = "denied"  # in a request's state: the gate has written the refusal down, with more words
SHOWN = "shown"  # in a request's state: ids of what the answer shows, where it is more than the path names
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSALS = frozenset({401, 403})
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_PICTURES = (b"image/", b"video/", b"multipart/x-mixed-replace", b"multipart/mixed")
# Recorded where they are done, with more words: who was given which rights, by which name somebody logs in,
# which cameras' past left in a case, which version serves and why.
_RECORDED = frozenset({"users:write", "tokens:write", "exports:write", "models:write", SELF})
# Marks that only whoever sets them sees: one a key press, on hundreds of events a day.
_OWN = frozenset({"events:review"})
_SEEN = ("live:read", "recordings:read", "incidents:read", "events:read")  # events: the clips of corrections


@dataclass(frozen=True, slots=True)
class Entry:
    """What one answer means for the audit."""

    action: str
    object: str
    result: str
    detail: Mapping[str, Any]


class RouteAudit:
    """``views``: whether it is also written down who looked at pictures."""

    def __init__(self, app: ASGIApp, views: bool = False) -> None:
        self._app = app
        self._views = views

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        scope.setdefault("state", {})  # shared with everything further in, which says there who asks
        if scope["type"] == "websocket":
            keep_connection(scope, send)

        async def send_recorded(message: Message) -> None:
            if message["type"] in _STARTS:
                await self._record(scope, message)
            await send(message)

        return await self._app(scope, receive, send_recorded)

    async def _record(self, scope: Scope, message: Message) -> None:
        entry = self._entry(scope, message)
        audit = _audit(scope)
        if entry is not None and audit is not None:
            principal: Principal | None = scope["state"].get("principal")
            peer: Peer | None = scope["state"].get(PEER)
            address = peer.client if peer else ""
            shown = scope["state"].get(SHOWN, ()) if entry.action == VIEW else ()
            for each in shown or (entry.object,):
                await audit.record(principal, entry.action, each, entry.result, entry.detail, address)

    def _entry(self, scope: Scope, message: Message) -> Entry | None:
        status: int = message["status"]
        method = scope.get("method", "WEBSOCKET")
        permission = needed(scope["endpoint"]) if "endpoint" in scope else None
        where = {"method": method, "status": status}
        if status in _REFUSALS:
            wrong_password = status == 401 and method not in _SAFE and permission in (OPEN, SELF)  # recorded there
            told = GATE in scope["state"] or wrong_password
            return None if told else Entry(DENIED, scope["path"], "refused", where)
        if not 200 <= status < 300:
            return None
        if method in _SAFE:
            looks = self._views and method == "GET" and _shows(scope, permission) and _is_picture(message)
            return Entry(VIEW, _object(scope, message), "ok", {"path": scope["path"]}) if looks else None
        told = permission in (None, OPEN, *_RECORDED, *_OWN)
        return None if told else Entry(str(permission), _object(scope, message), "ok", where)


def _audit(scope: Scope) -> Audit | None:
    context = getattr(getattr(scope.get("app"), "state", None), "context", None)
    audit: Audit | None = getattr(context, "audit", None)
    return audit


def _shows(scope: Scope, permission: str | None) -> bool:
    """An incident's pictures have a route that is open besides, for whoever holds a link to one."""
    return permission in _SEEN or (permission == OPEN and "incident_id" in scope.get("path_params", {}))


def _object(scope: Scope, message: Message) -> str:
    """→ the ids in the path; of what was just made, the id that ``Location`` ends with; else the path."""
    ids = [str(value) for value in scope.get("path_params", {}).values()]
    made = _header(message, b"location").rpartition(b"/")[2].decode("latin-1")
    return "/".join([*ids, made] if made else ids) or str(scope["path"])


def _is_picture(message: Message) -> bool:
    return _header(message, b"content-type").startswith(_PICTURES)


def _header(message: Message, name: bytes) -> bytes:
    return next((bytes(value) for key, value in message.get("headers", ()) if key.lower() == name), b"")
