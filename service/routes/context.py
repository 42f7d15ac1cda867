"""The parts that routes work with, made once a process by the application's lifespan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.access.access import Access
from service.access.audit_protocol import Audit
from service.access.changes import Changes
from service.access.links import Links
from service.access.peers import peer_of
from service.alerts.alerts import Alerts
from service.catalogue import Catalogue
from service.cluster.view import ClusterView
from service.exports.desk import ExportDesk
from service.guard import PRINCIPAL
from service.hub import Hub
from service.prometheus import Source
from service.promotion.desk import PromotionDesk
from service.recording.reconcile import Recordings
from service.registry import StreamRegistry
from service.retraining.desk import TrainingDesk
from service.review.desk import Review
from service.rights import Principal
from service.settings import Settings
from service.sinks.desk import SinkDesk
from service.storage.database import Database
from service.storage.store import Store
from service.storage.totals import SharedTotals
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
    changes: Changes
    database: Database
    access: Access
    audit: Audit
    links: Links
    alerts: Alerts
    sinks: SinkDesk
    exports: ExportDesk
    review: Review
    trainings: TrainingDesk
    promotions: PromotionDesk
    totals: SharedTotals
    measured: Sequence[Source] = ()  # for /metrics, besides what the supervisor knows
    cluster: ClusterView | None = None  # None: one machine

    @property
    def leads(self) -> bool:
        """Whether things may be changed here; false for an API that stands by."""
        return self.cluster is None or self.cluster.refusal is None


def get_context(connection: HTTPConnection) -> Context:
    context: Any = connection.app.state.context
    if not isinstance(context, Context):
        raise TypeError(f"expected the lifespan to have made a Context, got {context!r}")
    return context


def get_principal(connection: HTTPConnection) -> Principal:
    """→ who asks, as the guard found out before the route."""
    principal: Any = connection.scope["state"].get(PRINCIPAL)
    if not isinstance(principal, Principal):
        raise TypeError(f"expected the guard to have found a Principal, got {principal!r}: is the route an open one?")
    return principal


async def read_principal(connection: HTTPConnection) -> Principal:
    """→ who asks, by what is stored now. Raises ServiceError where the credential counts no more, StoreError."""
    return await get_context(connection).access.principals.resolve(connection)


async def get_visitor(connection: HTTPConnection) -> Principal:
    """→ who asks, on a route that is open; the audit knows it from then on. Raises Unauthorized."""
    who = await read_principal(connection)
    connection.scope["state"][PRINCIPAL] = who
    return who


def client_address(connection: HTTPConnection) -> str:
    """→ of whoever asks, behind proxies as far as they are trusted."""
    return peer_of(connection).client


def root_path(connection: HTTPConnection) -> str:
    """What stands before every path of the service as the client sees it; empty without a proxy that adds one."""
    path: str = connection.scope.get("root_path", "")
    return path


Here = Annotated[Context, Depends(get_context)]
Who = Annotated[Principal, Depends(get_principal)]
Address = Annotated[str, Depends(client_address)]
