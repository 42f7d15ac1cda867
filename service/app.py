"""The application: ``create_app(settings)``. What lives as long as the process is made and ended in its lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from service import errors
from service.catalogue import Catalogue
from service.errors_base import ServiceError
from service.guard import Guard
from service.hub import Hub
from service.proxy import BehindProxy
from service.recording.locks import DataDirLock
from service.recording.reconcile import DAY_S, GB, Recordings, Retention
from service.registry import StreamRegistry
from service.routes import events, health, models, page, recordings, streams, websocket
from service.routes.context import Context
from service.routes.methods import Methods, heads
from service.settings import Settings
from service.storage.database import Database
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from service.supervisor import ProcessSupervisor
from service.supervisor_protocol import Supervisor

SupervisorFactory = Callable[[Settings, Hub, Store], Supervisor]

_DESCRIPTION = (
    "Says live, for every person in view of many cameras, what that person is doing. "
    "Live messages come by the websocket `/v1/ws`; every error is an RFC 9457 problem."
)


def create_app(settings: Settings, supervisor_factory: SupervisorFactory | None = None) -> FastAPI:
    """→ the ASGI application. Starting it opens the data folder, which only one process may have open."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                app.state.context = await _open(settings, supervisor_factory or _processes, stack)
            except (ServiceError, OSError) as error:
                app.state.failure = error  # for whoever runs the server, who sees only that it did not start
                raise
            yield

    app = FastAPI(
        title="Actoscope",
        version=health.service_version(),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # an unknown path is an error, not a redirect
        docs_url=None,  # its page loads scripts from elsewhere
        responses=errors.problems(500),
    )
    app.add_middleware(Guard)
    app.add_middleware(BehindProxy, trusted=settings.trusted_proxies, root_path=settings.root_path)  # the outermost
    routers = [module.router for module in (streams, events, recordings, models, health, page, websocket)]
    routers.insert(-1, heads(routers))  # the websocket's takes every path
    errors.install(app, Methods(routers).at)
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's documented way to extend it
    return app


async def _open(settings: Settings, factory: SupervisorFactory, stack: AsyncExitStack) -> Context:
    """Opens every part in order; ``stack`` closes them in the reverse one, also when a later part fails."""
    lock = DataDirLock(settings.data_dir)
    stack.callback(lock.release)
    box = SecretBox.open(settings.data_dir)
    store = Store(Database(settings.sqlalchemy_url()), box, settings.recordings_dir, settings.messages_keep)
    stack.push_async_callback(store.close)
    await store.open()
    retention = Retention(settings.recordings_max_age_days * DAY_S, int(settings.recordings_max_gb * GB))
    kept = Recordings(settings.recordings_dir, store, retention)
    stack.push_async_callback(kept.close)
    await kept.open()
    hub = Hub(store, settings.subscriber_queue, settings.tracks_hz)
    stack.push_async_callback(hub.close)
    hub.on_stream.append(kept.on_stream)
    await hub.open()
    supervisor = factory(settings, hub, store)
    stack.push_async_callback(supervisor.close)
    stack.callback(hub.on_stream.remove, kept.on_stream)  # they all end now: what is left, the next start repairs
    await supervisor.open()
    catalogue = Catalogue(settings.weights_dir, settings.model)
    registry = StreamRegistry(settings, store, hub, supervisor, catalogue)
    stack.push_async_callback(registry.close)
    await registry.resume()
    return Context(settings, store, hub, supervisor, catalogue, registry, kept)


def _processes(settings: Settings, hub: Hub, store: Store) -> Supervisor:
    return ProcessSupervisor(settings, hub, store)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with the body of problems, which is no route's declared answer."""
    document = FastAPI.openapi(app)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = errors.ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemBody"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        # FastAPI adds its own 422 wherever there is a path parameter, though a text cannot be wrong in that way.
        if "application/json" in operation["responses"].get("422", {}).get("content", {}):
            del operation["responses"]["422"]
    return document
