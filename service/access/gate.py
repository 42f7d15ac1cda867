"""Who is let through to a route: the principal of a request, held against what the route declares that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.access.access import Access
from service.access.audit_protocol import Audit
from service.access.peers import peer_of
from service.access.principals import refuse_token_in_url
from service.access.route_audit import GATE
from service.errors_base import Forbidden, ServiceError
from service.rights import OPEN, PERMISSIONS, Principal

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

SOMEBODY = ""  # a path or a method that no route knows: strangers are not told so


async def let_in(connection: HTTPConnection, permission: str, access: Access, audit: Audit) -> Principal | None:
    """→ who asks; None where the route is open. Raises Unauthorized, Forbidden, StoreError."""
    refuse_token_in_url(connection)
    if permission == OPEN:
        return None
    try:
        principal = await access.principals.resolve(connection)
    except Forbidden as error:  # somebody whom a proxy knows
        await _tell_denial(connection, None, permission, audit, error)
        raise
    if permission != SOMEBODY and not principal.may(permission):
        denial = Forbidden(_why(principal, permission))
        await _tell_denial(connection, principal, permission, audit, denial)
        raise denial
    return principal


def _why(principal: Principal, permission: str) -> str:
    needed = PERMISSIONS[permission]
    if principal.scopes is not None and needed.scope not in principal.scopes:
        return f"this needs {permission}: the token has not the scope {needed.scope.value}"
    return f"this needs {permission}: the role of {needed.role.value}, which {principal.name} has not"


async def _tell_denial(
    connection: HTTPConnection, principal: Principal | None, permission: str, audit: Audit, error: ServiceError
) -> None:
    connection.scope["state"][GATE] = True
    method = connection.scope.get("method", "WEBSOCKET")
    detail = {"needs": permission, "method": method, "why": str(error)}
    path = connection.scope["path"]
    await audit.record(principal, "denied", path, "refused", detail, peer_of(connection).client)
