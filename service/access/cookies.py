"""The cookie of a session. ``__Host-`` binds it to this host and to https (RFC 6265bis, 4.1.3.2), for every path.

Browsers keep no such cookie from plain http; there it is another one, and only where no wire is in between: on this
machine.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.access.peers import host_of, is_loopback_name
from service.errors_base import Forbidden

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

SECURE_NAME, PLAIN_NAME = "__Host-actoscope", "actoscope"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """Where a connection keeps its session: the cookie's name and what belongs to it."""

    name: str
    secure: bool
    path: str


def cookie_of(connection: HTTPConnection) -> SessionCookie | None:
    """→ None for plain http from elsewhere: a session would be anybody's who listens on the way."""
    if connection.scope["scheme"] in ("https", "wss"):
        return SessionCookie(SECURE_NAME, True, "/")
    if is_loopback_name(host_of(connection)):
        return SessionCookie(PLAIN_NAME, False, connection.scope.get("root_path") or "/")
    return None


def need_cookie(connection: HTTPConnection) -> SessionCookie:
    """Raises Forbidden where there can be none."""
    cookie = cookie_of(connection)
    if cookie is None:
        raise Forbidden(
            "passwords are taken over https only, or at this machine's own name, such as http://127.0.0.1: "
            "a proxy that does https has to send X-Forwarded-Proto and to stand in ACTOSCOPE_TRUSTED_PROXIES"
        )
    return cookie


def new_secret() -> str:
    """→ what the cookie holds."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def session_id(secret: str) -> str:
    """→ as the database knows the session."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
