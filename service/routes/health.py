"""/healthz, /readyz and /metrics: for whoever runs the service."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.bodies import Health, Readiness
from service.errors import problems
from service.errors_base import Forbidden, Unavailable
from service.ids import service_version
from service.prometheus import exposition
from service.rights import OPEN, needs
from service.routes.context import Here, Who

router = APIRouter(tags=["operation"])


@router.get("/healthz")
@needs(OPEN)
async def healthz() -> Health:
    """200 while the process answers."""
    return Health(version=service_version())


@router.get("/readyz", responses=problems(503), response_model_exclude_none=True)
@needs(OPEN)
async def readyz(here: Here) -> Readiness:
    """200 once the models are loaded and the database answers; streams may be posted before. A bucket that is away is
    told and keeps nothing from going on."""
    await here.store.ping()
    if not here.supervisor.ready:
        raise Unavailable(f"models are loading: {here.supervisor.inference_status().get('reason', '')}")
    bucket = here.recordings.bucket
    told = None if bucket is None else bucket.standing.detail
    return Readiness(inference=here.supervisor.inference_status(), bucket=told)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
@needs("metrics:read")
async def metrics(here: Here, who: Who) -> Response:
    """Prometheus exposition. It tells of every stream, so it is for those who see all of them."""
    if who.visible.streams is not None:
        raise Forbidden("expected somebody who sees all streams: the metrics tell of each")
    own = [*(source() for source in here.measured), *here.sinks.measured(), *here.alerts.measured()]
    text = here.supervisor.metrics_text() + exposition(own)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
