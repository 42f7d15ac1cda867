"""The application: ``create_app(settings)``. What lives as long as the process is made and ended in its lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from fastapi import FastAPI

from service import errors
from service.access.access import open_access
from service.access.audit import AuditLog
from service.access.changes import Changes
from service.access.links import Links
from service.access.route_audit import RouteAudit
from service.alerts.alerts import Alerts
from service.alerts.media import MediaLimits
from service.catalogue import Catalogue
from service.cluster.election import Election
from service.cluster.ground import ClusterStart, Ground, SupervisorFactory
from service.cluster.links.addresses import cluster_database
from service.cluster.reigns import Reigns
from service.errors_base import ServiceError
from service.exports.contents import Archive
from service.exports.desk import ExportDesk
from service.guard import Admission, Guard
from service.hub import Hub
from service.ids import service_version
from service.prometheus import Source, disk_measures, source
from service.promotion.desk import PromotionDesk
from service.proxy import BehindProxy
from service.recording.locks import DataDirLock
from service.recording.reconcile import DAY_S, GB, Recordings
from service.recording.retention import Limits, buffered_s
from service.registry import StreamRegistry
from service.retraining.desk import TrainingDesk, TrainingParts
from service.review.desk import Review
from service.rights import needs
from service.routes import (
    deliveries,
    health,
    incidents,
    media,
    recordings,
    rules,
    sinks,
    streams,
    websocket,
    zones,
)
from service.routes.access import audit, session, tokens, users
from service.routes.cluster import nodes, placements
from service.routes.cluster.standby_gate import StandbyGate
from service.routes.console import live, page, system
from service.routes.context import Context
from service.routes.methods import Methods, heads
from service.routes.needs import Needs
from service.routes.openapi import described
from service.routes.retraining import trainings
from service.routes.review import corrections, events, exports, search, timeline
from service.routes.versions import models, versions
from service.settings import Settings
from service.sinks.desk import SinkDesk
from service.sinks.sender import SenderContext
from service.storage.database import Database, migrated
from service.storage.review.exports import ExportStore
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from service.storage.totals import SharedTotals, Totals
from service.supervisor import ProcessSupervisor
from service.supervisor_protocol import Supervisor
from service.wire_messages import rfc3339

Opened = Callable[[Context], Awaitable[None]]

_ROUTES = (
    *(streams, zones, events, recordings, rules, incidents, exports, media, sinks, deliveries),
    *(timeline, search, corrections, live, system, trainings),
    *(nodes, placements, models, versions, health, session, users, tokens, audit, page, websocket),
)
_DESCRIPTION = (
    "Says live, for every person in view of many cameras, what that person is doing. "
    "Live messages come by the websocket `/v1/ws`; every error is an RFC 9457 problem."
)


def create_app(
    settings: Settings,
    supervisor_factory: SupervisorFactory | None = None,
    opened: Opened | None = None,
    measured: Sequence[Source] = (),
) -> FastAPI:
    """→ the ASGI application. Starting it opens the data folder, which only one process may have open; ``opened`` is
    called then, before the first request. ``measured``: what whoever runs the server adds to ``/metrics``. Raises
    ServiceError for a route that does not say who may use it.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                stack.callback(DataDirLock(settings.data_dir).release)
                await _begin(app, settings, supervisor_factory or _processes, stack, measured)
            except (ServiceError, OSError) as error:
                app.state.failure = error  # for whoever runs the server, who sees only that it did not start
                raise
            if opened is not None and app.state.context.leads:
                await opened(app.state.context)
            yield

    app = FastAPI(
        title="Actoscope",
        version=service_version(),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # an unknown path is an error, not a redirect
        docs_url=None,  # its page loads scripts from elsewhere
        responses=errors.problems(500),
    )
    permissions = _with_routes(app)
    _with_gates(app, settings, permissions)
    app.openapi = lambda: described(app, permissions)  # type: ignore[method-assign] # FastAPI's documented way
    return app


def _with_routes(app: FastAPI) -> Needs:
    """→ what each route needs. Raises ServiceError for one that does not say it."""
    routers = [module.router for module in _ROUTES]
    routers.insert(-1, heads(routers))  # the websocket's takes every path
    errors.install(app, Methods(routers).at)
    for route in app.routes:  # what FastAPI adds by itself: the document of the API
        needs("self")(route.endpoint)  # type: ignore[attr-defined]
    permissions = Needs([*app.routes, *(route for router in routers for route in router.routes)])
    for router in routers:
        app.include_router(router)
    return permissions


def _with_gates(app: FastAPI, settings: Settings, permissions: Needs) -> None:
    """The last one is the outermost."""
    if settings.cluster:
        app.add_middleware(StandbyGate)
    app.add_middleware(Guard, permission_at=permissions.at, admission=Admission(settings.hosts, settings.origins))
    app.add_middleware(RouteAudit, views=settings.audit_media)
    app.add_middleware(BehindProxy, trusted=settings.trusted_proxies, root_path=settings.root_path)


async def _begin(
    app: FastAPI, settings: Settings, factory: SupervisorFactory, stack: AsyncExitStack, measured: Sequence[Source]
) -> None:
    """The application has its parts; in a cluster they are exchanged when it begins to lead, and when it ends."""
    if not settings.cluster:
        app.state.context = await _open(Ground(settings, factory), stack, measured)
        return
    url, start = cluster_database(settings), ClusterStart.of(settings)
    stack.callback(start.close)

    async def opening(epoch: int, parts: AsyncExitStack) -> Context:
        return await _open(await start.ground(settings, epoch, parts), parts, measured)

    def put(context: Context) -> None:
        app.state.context = context

    await migrated(url)  # the election is held in its tables
    await _opened(stack, Reigns(Election(url, start.candidate), opening, put))


async def _open(ground: Ground, stack: AsyncExitStack, measured: Sequence[Source]) -> Context:
    """Opens every part in order; ``stack`` closes them in the reverse one, also when a later part fails. Where an API
    only stands by, what works by itself is made and not opened.
    """
    settings = ground.settings
    box, database, store = await _storage(ground, stack)
    changes, audit_log = Changes(), AuditLog(database)
    stack.push_async_callback(audit_log.close)
    access = await open_access(settings, database, changes, audit_log, stack)
    links = await Links.open(database, box)
    access.watch.on_keys.append(links.follow)
    kept = await _begun(ground, stack, ground.recordings(store, retention_of(settings), database))
    hub, supervisor = await _running(ground, stack, store, kept)
    sending = SenderContext(settings, store, database, hub, supervisor)
    desk = await _begun(ground, stack, SinkDesk.over(sending, box, kept.bucket))
    media_of = (kept, supervisor, links, media_limits(settings))
    alerts = Alerts.over(settings.incidents_dir, store, database, hub, media_of, settings.public_url)
    await _alerting(ground, stack, alerts, desk, audit_log)
    cases = await _begun(ground, stack, _export_desk(settings, kept, store, database, audit_log))
    catalogue = Catalogue.of(settings)
    review = Review.over(settings, store, database, catalogue, kept)
    kept.also_needed += [cases.exports.needed, review.keeper.needed]
    promotions = PromotionDesk(settings, store, database, hub, supervisor, audit_log)
    await _begun(ground, stack, promotions)
    await _begun(ground, stack, review)
    registry = StreamRegistry(settings, store, hub, supervisor, catalogue)
    registry.on_rights.append(changes.notify)
    stack.push_async_callback(registry.close)
    if ground.works:
        kept.begin_retention(alerts.runner.caught_up)
        await registry.resume()
    learning = TrainingParts(settings, database, store, supervisor, audit_log, promotions.pointers.serving)
    lessons = await _begun(ground, stack, TrainingDesk(learning))
    parts = (settings, store, hub, supervisor, catalogue, registry, kept)
    desks = (cases, review, lessons, promotions, SharedTotals(Totals(database)))
    context = Context(*parts, changes, database, access, audit_log, links, alerts, desk, *desks, cluster=ground.cluster)
    return replace(context, measured=(*measured, source("audit_", audit_log.measures), *_sources(context)))


def _sources(context: Context) -> Iterator[Source]:
    """→ what the parts count, for ``/metrics``."""
    for part in (context.review.keeper, context.recordings, context.exports):
        yield source("", part.measures)
    yield source("login_", context.access.logins.limits.measures)
    yield source("training_", context.trainings.measures)
    yield source("model_", context.promotions.measures)
    yield source("", lambda: disk_measures(context.settings.data_dir))


async def _storage(ground: Ground, stack: AsyncExitStack) -> tuple[SecretBox, Database, Store]:
    settings = ground.settings
    box, database = SecretBox.open(settings.data_dir), ground.database()
    store = Store(database, box, settings.recordings_dir, settings.messages_keep, settings.audit_share)
    await _opened(stack, store)
    await ground.check(store)
    return box, database, store


class _Part(Protocol):
    async def open(self) -> None: ...
    async def close(self) -> None: ...


PartT = TypeVar("PartT", bound=_Part)


async def _opened(stack: AsyncExitStack, part: PartT) -> PartT:
    """→ the part, open; it is closed with the others, also where it opens half-way only."""
    stack.push_async_callback(part.close)
    await part.open()
    return part


async def _begun(ground: Ground, stack: AsyncExitStack, part: PartT) -> PartT:
    """→ the part; open, unless this API stands by."""
    return await _opened(stack, part) if ground.works else part


async def _running(ground: Ground, stack: AsyncExitStack, store: Store, kept: Recordings) -> tuple[Hub, Supervisor]:
    """→ what messages go through, and the processes that they come from."""
    hub = ground.hub(store)
    hub.on_stream.append(kept.on_stream)
    await _begun(ground, stack, hub)
    supervisor = await ground.supervisor(hub, store)
    stack.push_async_callback(supervisor.close)
    stack.callback(hub.on_stream.remove, kept.on_stream)  # they all end now: what is left, the next start repairs
    await supervisor.open()
    return hub, supervisor


async def _alerting(ground: Ground, stack: AsyncExitStack, alerts: Alerts, desk: SinkDesk, audit_log: AuditLog) -> None:
    alerts.runner.on_outbox.append(desk.dispatcher.ring)
    desk.switch.on_switched.append(_noted(alerts, audit_log))
    await _begun(ground, stack, alerts)


def _export_desk(
    settings: Settings, kept: Recordings, store: Store, database: Database, audit_log: AuditLog
) -> ExportDesk:
    exports = ExportStore(database)
    floor = settings.extras_min_free_bytes
    archive = Archive(store, kept, exports, settings.segment_s, floor, settings.timezone or "UTC")
    return ExportDesk(settings.data_dir / "exports", exports, archive, audit_log)


def _noted(alerts: Alerts, audit_log: AuditLog) -> Callable[[str, float | None], Awaitable[None]]:
    """→ what has to follow when a broker silences a stream's rules."""

    async def switched(stream_id: str, until: float | None) -> None:
        await alerts.runner.rules_changed()
        until_text = None if until is None else rfc3339(until)
        await audit_log.record(None, "rules:snooze", stream_id, detail={"by": "mqtt", "until": until_text})

    return switched


def _processes(settings: Settings, hub: Hub, store: Store) -> Supervisor:
    return ProcessSupervisor(settings, hub, store)


def media_limits(settings: Settings) -> MediaLimits:
    """How long the pictures and clips of incidents stay, and how much of them."""
    age_s = settings.incidents_max_age_days * DAY_S
    return MediaLimits(settings.segment_s, age_s, int(settings.incidents_max_gb * GB))


def retention_of(settings: Settings) -> Limits:
    """How long recordings stay."""
    return Limits(
        max_age_s=settings.recordings_max_age_days * DAY_S,
        max_bytes=int(settings.recordings_max_gb * GB),
        incident_age_s=settings.incidents_max_age_days * DAY_S,
        buffer_s=buffered_s(settings.segment_s),
    )
