"""The page at ``/``: three static files, no build step, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.routes.files import file_answer

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


def _file(request: Request, name: str, media_type: str) -> Response:
    return file_answer(request, _WEB / name, media_type, headers=_HEADERS)


@router.get("/")
async def index(request: Request) -> Response:
    return _file(request, "index.html", "text/html")


@router.get("/web/page.js")
async def script(request: Request) -> Response:
    return _file(request, "page.js", "text/javascript")


@router.get("/web/page.css")
async def style(request: Request) -> Response:
    return _file(request, "page.css", "text/css")


@router.get("/favicon.ico")
@router.get("/web/icon.svg")
async def icon(request: Request) -> Response:
    return _file(request, "icon.svg", "image/svg+xml")
