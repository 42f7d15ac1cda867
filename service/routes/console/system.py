"""/v1/system: how the service does, to be read: what the machine affords, what is left out, disk, queues."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import psutil
from fastapi import APIRouter

from service.ids import service_version
from service.prometheus import disk_measures
from service.rights import Principal, needs
from service.routes.cluster.nodes import told
from service.routes.console.system_bodies import (
    Database,
    Disk,
    Inference,
    Machine,
    Retention,
    System,
    to_bucket,
    to_budget,
    to_recorded,
)
from service.routes.context import Context, Here, Who
from service.storage.totals import DatabaseSize
from service.wire_messages import rfc3339

router = APIRouter(prefix="/v1/system", tags=["operation"])


@router.get("")
@needs("system:read")
async def get_system(here: Here, who: Who) -> System:
    """How everything does now: each stream that may be seen, what is recorded of it, and the machine below."""
    visible = who.visible
    stored = await here.totals.of(visible)
    return System(
        version=service_version(),
        started_at=rfc3339(psutil.Process().create_time()),
        streams=[here.registry.describe(record, who) for record in await here.store.all_streams(visible)],
        recorded=[to_recorded(each) for each in stored.recorded],
        incidents=stored.incidents.incidents,
        incidents_kept=stored.incidents.kept,
        machine=await _machine(here, who, stored.database) if visible.streams is None else None,
    )


async def _machine(here: Context, who: Principal, size: DatabaseSize) -> Machine:
    budget, status = here.supervisor.budget(), here.supervisor.inference_status()
    return Machine(
        python=platform.python_version(),
        subscribers=here.hub.subscribers,
        budget=None if budget is None else to_budget(budget),
        inference=Inference(
            ready=here.supervisor.ready,
            reason=status.get("reason", ""),
            parts=status.get("parts", {}),
            restarts=status.get("restarts", 0),
        ),
        disk=await _disk(here),
        retention=_retention(here),
        bucket=None if here.recordings.bucket is None else to_bucket(await here.recordings.bucket.look()),
        database=Database(kind=size.kind, bytes=size.bytes),
        queues={name: value for name, value in _told(here, "gauges") if _waits(name)},
        counters={name: value for name, value in _told(here, "counters") if value},
        cluster=None
        if here.cluster is None or not who.may("nodes:read")
        else await told(here.cluster, here.leads, who),
    )


async def _disk(here: Context) -> Disk | None:
    gauges = (await asyncio.to_thread(disk_measures, here.settings.data_dir)).get("gauges")
    if gauges is None:
        return None
    floor = here.settings.recordings_min_free_mb << 20
    return Disk(free_bytes=gauges["disk_free_bytes"], size_bytes=gauges["disk_size_bytes"], min_free_bytes=floor)


def _retention(here: Context) -> Retention:
    settings = here.settings
    return Retention(
        max_age_days=settings.recordings_max_age_days,
        max_gb=settings.recordings_max_gb,
        incidents_max_age_days=settings.incidents_max_age_days,
        incidents_max_gb=settings.incidents_max_gb,
        problem=here.recordings.problem,
    )


def _told(here: Context, kind: str) -> Iterator[tuple[str, float]]:
    """→ (name as in /metrics, value) of what is measured beside single streams."""
    measured: list[tuple[str, Mapping[str, Any]]] = [("inference_", here.supervisor.inference_measures())]
    measured.append(("", here.hub.measures()))
    sources = [*(source() for source in here.measured), *here.sinks.measured(), *here.alerts.measured()]
    measured += [(prefix, snapshot) for prefix, labels, snapshot, _ in sources if not labels]
    for prefix, snapshot in measured:
        for name, value in snapshot.get(kind, {}).items():
            yield f"{prefix}{name}", value


def _waits(name: str) -> bool:
    """Whether a gauge tells of what waits."""
    return name.endswith(("queue_depth", "_pending", "_oldest_seconds", "_wait_seconds", "_unstored", "_behind"))
