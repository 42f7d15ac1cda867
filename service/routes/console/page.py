"""The pages: static files, no build step, nothing from elsewhere. What they show they ask the API for."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.errors_base import NotFound
from service.rights import OPEN, needs
from service.routes.console.page_scripts import preloads
from service.routes.files import file_answer

router = APIRouter(include_in_schema=False)

_WEB = Path(__file__).resolve().parents[2] / "web"
_SCRIPTS = (
    *("api.js", "dom.js", "login.js", "overlay.js", "page.js", "shell.js", "zones.js", "zones_dialog.js"),
    *("settings.js", "settings_audit.js", "settings_deliveries.js", "settings_sinks.js", "settings_tokens.js"),
    "settings_users.js",
)
_REVIEW = (
    *("review.js", "events.js", "incident.js", "export.js", "filters.js", "inbox.js", "incident_desk.js", "keys.js"),
    *("lanes.js", "lane_ink.js", "lane_rows.js", "event_words.js", "palette.js", "player.js", "times.js"),
    *("verdicts.js", "long_list.js", "corrections.js", "review.css"),
)
_CONSOLE = (
    *("live_pictures.js", "live_recordings.js", "live_streams.js", "person.js", "tile.js", "wall.css", "wall.js"),
    *("console.css", "fields.js", "lines.js", "rules.js", "rules_editor.js", "rules_found.js", "system.js", "words.js"),
    *("gate.js", "models.js", "repetitions.js", "train.js"),
)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PARTS = {name: _TYPES[Path(name).suffix] for name in (*_SCRIPTS, *_REVIEW, *_CONSOLE, "page.css", "icon.svg")}
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
    page = {"Link": preloads(_WEB / name)} if media_type == "text/html" else {}
    return file_answer(request, _WEB / name, media_type, headers={**_HEADERS, **page})


@router.get("/")
@needs(OPEN)
async def index(request: Request) -> Response:
    return _file(request, "index.html", "text/html")


@router.get("/login")
@needs(OPEN)
async def login(request: Request) -> Response:
    return _file(request, "login.html", "text/html")


@router.get("/settings")
@needs(OPEN)
async def settings(request: Request) -> Response:
    """What it shows it asks the API for, which says who may."""
    return _file(request, "settings.html", "text/html")


@router.get("/corrections")
@router.get("/events")
@router.get("/models")
@router.get("/review")
@router.get("/rules")
@router.get("/system")
@router.get("/train")
@needs(OPEN)
async def console(request: Request) -> Response:
    name: str = request.scope["route"].path
    return _file(request, f"{name.strip('/')}.html", "text/html")


@router.get("/incidents/{incident_id}")
@needs(OPEN)
async def incident(request: Request, incident_id: str) -> Response:
    """The page of any incident: it finds the id in its own address, and asks the API whether there is one."""
    return _file(request, "incident.html", "text/html")


@router.get("/web/{name}")
@needs(OPEN)
async def part(request: Request, name: str) -> Response:
    """Raises NotFound for any file but those that the pages are made of."""
    if name not in _PARTS:
        raise NotFound("there is nothing at this path")
    return _file(request, name, _PARTS[name])


@router.get("/favicon.ico")
@needs(OPEN)
async def icon(request: Request) -> Response:
    return _file(request, "icon.svg", "image/svg+xml")
