"""What holds for all routes together: HEAD wherever there is GET, and which methods a path knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fastapi import APIRouter
from fastapi.routing import APIRoute


def heads(routers: Iterable[APIRouter]) -> APIRouter:
    """→ HEAD for every GET of ``routers`` (RFC 9110, 9.3.2). The server leaves the body out."""
    answers = APIRouter(include_in_schema=False)
    for route in _routes(routers):
        if "GET" in (route.methods or ()):
            answers.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                response_class=route.response_class,
                response_model_exclude_none=route.response_model_exclude_none,  # else its length would be another
            )
    return answers


class Methods:
    """``at("/v1/streams")`` → ``["GET", "HEAD", "POST"]``: of every route that has this path, not of the first."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._known: list[tuple[re.Pattern[str], set[str]]] = [
            (route.path_regex, route.methods or set()) for route in _routes(routers)
        ]

    def at(self, path: str) -> list[str]:
        return sorted(set().union(*(methods for pattern, methods in self._known if pattern.match(path))))


def _routes(routers: Iterable[APIRouter]) -> Iterator[APIRoute]:
    return (route for router in routers for route in router.routes if isinstance(route, APIRoute))
