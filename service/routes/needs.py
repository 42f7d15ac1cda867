"""What each route declares that it needs, by the request that leads to it; and that every one declares something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import Scope

from service.access.gate import SOMEBODY
from service.errors_base import ServiceError
from service.rights import needed


class UndeclaredRoute(ServiceError, TypeError):
    """A route does not say who may use it."""


class Needs:
    """Of these routes, in the order in which they are tried. Raises UndeclaredRoute, which names each that is wrong."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes: list[tuple[BaseRoute, str]] = []
        undeclared = []
        for route in routes:
            permission = _declared(route)
            if permission is None:
                undeclared.append(_name(route))
            else:
                self._routes.append((route, permission))
        if undeclared:
            raise UndeclaredRoute(f"expected @needs(…) below the decorator of every route, not at: {_list(undeclared)}")

    def at(self, scope: Scope) -> str:
        """→ the permission, OPEN, or SOMEBODY where no route has this path and method."""
        for route, permission in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return permission
        return SOMEBODY

    def of(self, path: str, method: str) -> str:
        """→ the permission of a route by its own path, with names of parameters in it."""
        for route, permission in self._routes:
            if isinstance(route, Route) and route.path == path and method in (route.methods or ()):
                return permission
        raise LookupError(f"there is no route {method} {path}")


def _declared(route: BaseRoute) -> str | None:
    return needed(route.endpoint) if isinstance(route, (Route, WebSocketRoute)) else None


def _name(route: BaseRoute) -> str:
    methods = " ".join(sorted(getattr(route, "methods", None) or ["WEBSOCKET"]))
    return f"{methods} {getattr(route, 'path', route)}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
