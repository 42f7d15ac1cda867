"""/healthz, /readyz and /metrics: for whoever runs the service."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.bodies import Health, Readiness
from service.errors import problems
from service.errors_base import Unavailable
from service.routes.context import Here

router = APIRouter(tags=["operation"])


def service_version() -> str:
    try:
        return version("actoscope")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"


@router.get("/healthz")
async def healthz() -> Health:
    """200 while the process answers."""
    return Health(version=service_version())


@router.get("/readyz", responses=problems(503))
async def readyz(here: Here) -> Readiness:
    """200 once the models are loaded and the database answers; streams may be posted before."""
    await here.store.ping()
    if not here.supervisor.ready:
        raise Unavailable(f"models are loading: {here.supervisor.inference_status().get('reason', '')}")
    return Readiness(inference=here.supervisor.inference_status())


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(here: Here) -> Response:
    """Prometheus exposition."""
    return Response(here.supervisor.metrics_text(), media_type=CONTENT_TYPE_LATEST)
