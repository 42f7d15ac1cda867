"""The parts that routes work with, made once a process by the application's lifespan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.catalogue import Catalogue
from service.hub import Hub
from service.recording.reconcile import Recordings
from service.registry import StreamRegistry
from service.settings import Settings
from service.storage.store import Store
from service.supervisor_protocol import Supervisor


@dataclass(frozen=True)
class Context:
    settings: Settings
    store: Store
    hub: Hub
    supervisor: Supervisor
    catalogue: Catalogue
    registry: StreamRegistry
    recordings: Recordings


def get_context(connection: HTTPConnection) -> Context:
    context: Any = connection.app.state.context
    if not isinstance(context, Context):
        raise TypeError(f"expected the lifespan to have made a Context, got {context!r}")
    return context


def root_path(connection: HTTPConnection) -> str:
    """What stands before every path of the service as the client sees it; empty without a proxy that adds one."""
    path: str = connection.scope.get("root_path", "")
    return path


Here = Annotated[Context, Depends(get_context)]
