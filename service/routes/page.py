"""The page at ``/``: three static files, no build step, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)

_WEB = Path(__file__).resolve().parent.parent / "web"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def _file(name: str, media_type: str) -> FileResponse:
    return FileResponse(_WEB / name, media_type=media_type, headers=_HEADERS)


@router.get("/")
async def index() -> FileResponse:
    return _file("index.html", "text/html")


@router.get("/web/page.js")
async def script() -> FileResponse:
    return _file("page.js", "text/javascript")


@router.get("/web/page.css")
async def style() -> FileResponse:
    return _file("page.css", "text/css")


@router.get("/favicon.ico")
@router.get("/web/icon.svg")
async def icon() -> FileResponse:
    return _file("icon.svg", "image/svg+xml")
