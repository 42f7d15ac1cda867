"""Who gets what: every route of the application and the websocket, asked by everybody that there can be.

The expected status follows from what a route declares (``needs``), what the asking principal may, and whether the path
names an object of a stream; ``CASES`` says only what a route answers where it may. Whatever comes is searched for the
marks of all that the principal may not see.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from service.access.grants import visible_of
from service.app import create_app
from service.rights import OPEN, Grant, Principal, Role, Scope, needed
from service.settings import Settings
from service.wire_messages import rfc3339
from tests.e2e.conftest import InMode
from tests.service.conftest import RunningApi, write_model
from tests.support.access_world import MODEL, START, A, B, Camera, MarkedSupervisor, World, gate
from tests.support.cluster_service import MODE

SAFE = ("GET", "HEAD")
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, MISDIRECTED = 401, 403, 404, 421


@dataclass(frozen=True)
class Case:
    """What a route answers to those who may, ``to_users`` where it is another to those who are logged in.

    ``unseen``: what those get who may not see what its body names of stream A at START.

    ``permission``: what an open route asks for itself. ``whole``: it tells of all streams, so it is for those who see
    all. ``file``: it knows byte ranges.
    """

    status: int = 200
    body: Any = None
    permission: str | None = None
    whole: bool = False
    file: bool = False
    to_users: int | None = None
    query: str = ""
    unseen: int | None = None


RULE = {"name": "New", "actions": {"squat": 0.5}}
SPAN = {"since": "2026-05-04T00:00:00Z", "until": "2026-05-05T00:00:00Z"}
LATELY = f"since={rfc3339(START - 600)}&until={rfc3339(START + 86_400)}"
CASES: Mapping[str, Case] = {
    "GET /": Case(),
    "GET /login": Case(),
    "GET /settings": Case(),
    "GET /models": Case(),
    "GET /rules": Case(),
    "GET /system": Case(),
    "GET /train": Case(),
    "GET /corrections": Case(),
    "GET /events": Case(),
    "GET /incidents/{incident_id}": Case(),
    "GET /review": Case(),
    "GET /favicon.ico": Case(),
    "GET /web/{name}": Case(),
    "GET /openapi.json": Case(),
    "GET /healthz": Case(),
    "GET /readyz": Case(),
    "GET /metrics": Case(whole=True),
    "GET /v1/ws": Case(426),
    "POST /v1/login": Case(200, {"name": "nina", "password": World.PASSWORD}),
    "POST /v1/logout": Case(),
    "GET /v1/me": Case(),
    "PATCH /v1/me": Case(409, {"old_password": World.PASSWORD, "password": "another long one"}, to_users=200),
    "GET /v1/users": Case(),
    "POST /v1/users": Case(201, {"name": "new", "password": World.PASSWORD, "grants": [{"role": "viewer"}]}),
    "GET /v1/users/{user_id}": Case(),
    "PATCH /v1/users/{user_id}": Case(200, {"name": "other"}),
    "DELETE /v1/users/{user_id}": Case(204),
    "GET /v1/tokens": Case(),
    "GET /v1/audit": Case(),
    "POST /v1/tokens": Case(403, {"name": "new", "scopes": ["read"]}, to_users=201),  # a token makes none
    "DELETE /v1/tokens/{token_id}": Case(204),
    "GET /v1/models": Case(),
    "GET /v1/live": Case(),
    "GET /v1/system": Case(),
    "GET /v1/nodes": Case(),
    "POST /v1/nodes/{node_id}/drain": Case(202 if MODE == "cluster" else 409),  # one machine has none
    "POST /v1/nodes/{node_id}/undrain": Case(202 if MODE == "cluster" else 409),
    "DELETE /v1/nodes/{node_id}": Case(204 if MODE == "cluster" else 409),
    "GET /v1/streams/{stream_id}/placement": Case(),
    "PUT /v1/streams/{stream_id}/placement": Case(200 if MODE == "cluster" else 409, {"site": "yard"}),
    "GET /v1/trainings": Case(whole=True),
    "POST /v1/trainings": Case(422, {"base": "no such network"}),  # one that is would run
    "GET /v1/trainings/{training_id}": Case(whole=True),
    "DELETE /v1/trainings/{training_id}": Case(409),  # it is over
    "GET /v1/models/{alias}/versions": Case(),
    "GET /v1/models/{alias}/shadow": Case(),
    "POST /v1/models/{alias}/shadow": Case(200, {"version": None}),
    "POST /v1/models/{alias}/promote": Case(409, {"version": MODEL}),  # it serves
    "POST /v1/models/{alias}/rollback": Case(409, {"reason": ""}),  # nothing served before
    "GET /v1/events": Case(),
    "GET /v1/events/{event_id}": Case(),
    "PUT /v1/events/{event_id}/verdict": Case(200, {"verdict": "right"}),
    "GET /v1/events/{event_id}/verdicts": Case(),
    "PUT /v1/events/{event_id}/reviewed": Case(204, {"reviewed": True}),
    "POST /v1/events/reviewed": Case(204, {"ids": [A.id("evt")], "reviewed": True}, unseen=422),
    "GET /v1/timeline": Case(query=LATELY),
    "GET /v1/search": Case(query=f"q={A.mark('name')} {A.mark('zone')} {A.mark('rule')}"),
    "GET /v1/corrections": Case(),
    "GET /v1/corrections/summary": Case(),
    "GET /v1/corrections/{correction_id}/clip.mp4": Case(file=True),
    "GET /v1/streams": Case(),
    "POST /v1/streams": Case(201, {"url": "rtsp://127.0.0.1:9/new"}),
    "GET /v1/streams/{stream_id}": Case(),
    "PATCH /v1/streams/{stream_id}": Case(200, {"record": True}),
    "DELETE /v1/streams/{stream_id}": Case(204),
    "POST /v1/streams/{stream_id}/restart": Case(202),
    "GET /v1/streams/{stream_id}/snapshot.jpg": Case(),
    "GET /v1/streams/{stream_id}/live.mjpeg": Case(),
    "GET /v1/recordings": Case(),
    "GET /v1/recordings/{recording_id}": Case(),
    "DELETE /v1/recordings/{recording_id}": Case(204),
    "GET /v1/recordings/{recording_id}/video.mp4": Case(file=True),
    "GET /v1/recordings/{recording_id}/events.jsonl": Case(file=True),
    "GET /v1/streams/{stream_id}/zones": Case(),
    "PUT /v1/streams/{stream_id}/zones": Case(200, {"zones": []}),
    "GET /v1/rules": Case(),
    "POST /v1/rules": Case(201, RULE),
    "POST /v1/rules/dry-run": Case(200, {**SPAN, "rule": RULE}),
    "GET /v1/rules/{rule_id}": Case(),
    "PATCH /v1/rules/{rule_id}": Case(200, {"enabled": False}),
    "DELETE /v1/rules/{rule_id}": Case(204),
    "POST /v1/rules/{rule_id}/snooze": Case(200, {"minutes": 5}),
    "DELETE /v1/rules/{rule_id}/snooze": Case(),
    "POST /v1/rules/{rule_id}/dry-run": Case(200, SPAN),
    "GET /v1/incidents": Case(),
    "GET /v1/incidents/{incident_id}": Case(),
    "PATCH /v1/incidents/{incident_id}": Case(200, {"kept": True}),
    "GET /v1/incidents/{incident_id}/snapshot.jpg": Case(file=True),
    "GET /v1/incidents/{incident_id}/clip.mp4": Case(file=True),
    "GET /v1/exports": Case(),
    "POST /v1/exports": Case(202, {"incident": A.id("inc")}, unseen=404),
    "GET /v1/exports/{export_id}": Case(),
    "DELETE /v1/exports/{export_id}": Case(204),
    "GET /v1/exports/{export_id}/case.zip": Case(file=True),
    "GET /v1/sinks": Case(),
    "POST /v1/sinks": Case(201, {"kind": "webhook", "name": "New", "config": {"url": "https://192.0.2.7/hook"}}),
    "GET /v1/sinks/{sink_id}": Case(),
    "PATCH /v1/sinks/{sink_id}": Case(200, {"name": "Others"}),
    "DELETE /v1/sinks/{sink_id}": Case(204),
    "POST /v1/sinks/{sink_id}/test": Case(),
    "POST /v1/sinks/{sink_id}/rotate-secret": Case(),
    "GET /v1/deliveries": Case(),
    "POST /v1/deliveries/{delivery_id}/retry": Case(202),
    "GET /v1/media/{incident_id}/snapshot.jpg": Case(permission="incidents:read", file=True),
    "GET /v1/media/{incident_id}/clip.mp4": Case(permission="incidents:read", file=True),
    "POST /v1/media-keys/rotate": Case(204),
}

# Parameter of a path → (kind of id, whether it is of the past) of what belongs to a stream.
OBJECTS = {
    "stream_id": ("str", False),
    "recording_id": ("rec", True),
    "incident_id": ("inc", True),
    "rule_id": ("rul", False),
    "event_id": ("evt", True),
    "correction_id": ("ver", True),
    "export_id": ("exp", True),
}
# … → id of what belongs to none.
OTHERS = {
    "node_id": "yard-1",
    "user_id": World.USER,
    "token_id": World.TOKEN,
    "sink_id": World.SINK,
    "delivery_id": World.DELIVERY,
    "training_id": World.TRAINING,
    "name": "page.js",
    "alias": MODEL,
}


@dataclass(frozen=True)
class Actor:
    """Somebody who asks. ``principal`` None: nobody, whatever the headers claim. ``turned_away``: the status that all
    of its requests, or those that change something, get before anything else is looked at.
    """

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    principal: Principal | None = None
    turned_away: int | None = None
    only_changes: bool = False

    def refusal(self, method: str) -> int | None:
        return None if self.only_changes and method in SAFE else self.turned_away

    def sees(self, camera: Camera, at: float | None = None) -> bool:
        return self.principal is not None and self.principal.visible.sees(camera.id("str"), at)

    def may(self, permission: str, camera: Camera | None = None) -> bool:
        stream_id = None if camera is None else camera.id("str")
        return self.principal is not None and self.principal.may(permission, stream_id)


def grant(role: str, streams: str = "*", history_since: float | None = None) -> dict[str, Any]:
    return {"role": role, "streams": streams, "history_since": history_since}


READ, OPERATE = ["read"], ["read", "label", "control"]
EVERYTHING = [scope.value for scope in Scope]
# Name → scopes and grants of a token.
TOKENS: Mapping[str, tuple[list[str], list[dict[str, Any]]]] = {
    "viewer": (READ, [grant("viewer", A.id("str"))]),
    "viewer of another stream": (READ, [grant("viewer", B.id("str"))]),
    "viewer of a group": (READ, [grant("viewer", f"group:{A.mark('group')}")]),
    "viewer from now on": (READ, [grant("viewer", A.id("str"), START + 10)]),
    "viewer of nothing that there is": (READ, [grant("viewer", "str_00000000000000ff")]),
    "viewer with every scope": (EVERYTHING, [grant("viewer", A.id("str"))]),
    "operator": (OPERATE, [grant("operator", A.id("str"))]),
    "operator of another stream": (OPERATE, [grant("operator", B.id("str")), grant("viewer", A.id("str"))]),
    "admin": (EVERYTHING, [grant("admin")]),
    "admin's token to read": (READ, [grant("admin")]),
    "admin's token for metrics": (["metrics"], [grant("admin")]),
}
FOREIGN_PAGE = {"Origin": "https://elsewhere.example"}
# Name → grants of somebody who is logged in.
USERS: Mapping[str, list[dict[str, Any]]] = {
    "logged in viewer": [grant("viewer", A.id("str"))],
    "logged in viewer of another stream": [grant("viewer", B.id("str"))],
    "logged in admin": [grant("admin")],
}
FORGED = {
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "127.0.0.1",
    "X-Forwarded-Proto": "https",
    "Forwarded": "for=127.0.0.1;host=127.0.0.1",
    "Remote-User": "root",
    "Remote-Groups": "sysadmins",
    "X-Proxy-Secret": "guessed",
}


def principal_of(scopes: list[str] | None, grants: list[dict[str, Any]]) -> Principal:
    groups = {"*": frozenset({A.id("str"), B.id("str")}), **{c.mark("group"): frozenset({c.id("str")}) for c in (A, B)}}
    given = [Grant(Role(each["role"]), each["streams"], each["history_since"]) for each in grants]
    role, roles, visible = visible_of(given, groups)
    if scopes is None:
        return Principal("user", "x", "x", role, roles, None, visible)
    return Principal("token", "x", "x", role, roles, frozenset(map(Scope, scopes)), visible)


def actors(world: World) -> list[Actor]:
    def bearer(text: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {text}"}

    known = [
        Actor(name, bearer(world.token(name, scopes, grants)), principal_of(scopes, grants))
        for name, (scopes, grants) in TOKENS.items()
    ]
    known += [
        Actor(name, {"Cookie": f"actoscope={world.session(name, grants)}"}, principal_of(None, grants))
        for name, grants in USERS.items()
    ]
    admin, user = (next(actor for actor in known if actor.name == name) for name in ("admin", "logged in admin"))
    viewer = next(actor for actor in known if actor.name == "viewer")
    expired = world.token("expired", *TOKENS["admin"], expires_at=time.time() - 1)
    revoked = world.token("revoked", *TOKENS["admin"], revoked_at=time.time() - 1)
    return [
        *known,
        Actor("no credential"),
        Actor("wrong credential", bearer("acto_00000000_" + "A" * 43)),
        Actor("the id of a token without its secret", bearer(f"acto_{world.tokens['admin'].id}_" + "A" * 43)),
        Actor("no token at all", bearer("admin")),
        Actor("wrong cookie", {"Cookie": "actoscope=" + "A" * 43}),
        Actor("expired", bearer(expired)),
        Actor("revoked", bearer(revoked)),
        Actor("forged proxy header", FORGED),
        Actor("viewer with forged proxy header", {**viewer.headers, **FORGED}, viewer.principal),
        Actor("foreign Origin", {**admin.headers, **FOREIGN_PAGE}, admin.principal, FORBIDDEN, True),
        Actor("logged in, foreign Origin", {**user.headers, **FOREIGN_PAGE}, user.principal, FORBIDDEN, True),
        Actor("logged in, wrong Host", {**user.headers, "Host": "elsewhere.example"}, user.principal, MISDIRECTED),
        Actor("wrong Host", {**admin.headers, "Host": "elsewhere.example"}, admin.principal, MISDIRECTED),
    ]


def leaves(tree: Iterable[Any]) -> Iterator[Route | WebSocketRoute]:
    """The routes of an application and of the routers that it includes. Raises TypeError for what is neither."""
    for node in tree:
        if isinstance(node, (Route, WebSocketRoute)):
            yield node
        elif isinstance(inner := getattr(node, "original_router", None), APIRouter):  # FastAPI's own type is private
            yield from leaves(inner.routes)
        else:
            raise TypeError(f"expected a route or a router, got {node!r}")


def routes(app: FastAPI) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """→ method, path and function of each HTTP route."""
    for route in leaves(app.routes):
        if isinstance(route, Route):
            for method in sorted(route.methods or ()):
                yield method, route.path, route.endpoint


def case_of(method: str, path: str) -> Case:
    return CASES[f"{'GET' if method == 'HEAD' else method} {path}"]


ROUTES = list(routes(create_app(Settings())))


class Matrix:
    """The running application, everybody who may ask, and the raw answers."""

    def __init__(self, settings: Settings) -> None:
        self.api = RunningApi(settings, MarkedSupervisor)
        self.api.start()
        self.world = World(settings, self.api.context.store)
        self.actors = actors(self.world)
        self.api.call(self.world.publish(self.api.context.hub))
        self.restore()  # what was published is in the history otherwise, until somebody has changed anything

    def restore(self) -> None:
        self.api.call(self.world.restore())

    def ask(self, actor: Actor, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        answer = self.api.client.request(method, path, json=body, headers={**actor.headers, **headers})
        self.api.client.cookies.clear()
        return answer


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory, in_mode: InMode) -> Iterator[Matrix]:
    folder = tmp_path_factory.mktemp("matrix")
    write_model(folder / "weights" / MODEL)
    write_model(folder / "weights" / f"{MODEL}@2")
    (folder / "weights" / f"{MODEL}@2" / "gate.json").write_text(json.dumps(gate()))
    asked = Settings(
        data_dir=folder / "data",
        weights_dir=folder / "weights",
        max_streams=1000,
        hosts=("cameras.example",),
        trusted_proxies=("192.0.2.0/24",),
        proxy_user_header="Remote-User",
        proxy_groups_header="Remote-Groups",
        proxy_role_map={Role.ADMIN: ("sysadmins",)},
    )
    made = Matrix(in_mode(asked, MarkedSupervisor))
    yield made
    made.api.stop()


def expected(method: str, path: str, permission: str, actor: Actor) -> int:
    case = case_of(method, path)
    refusal = actor.refusal(method)
    if refusal is not None:
        return refusal
    if permission == OPEN and case.permission is None:
        return case.status
    return _for_somebody(case, path, case.permission or permission, actor)


def _for_somebody(case: Case, path: str, permission: str, actor: Actor) -> int:
    if actor.principal is None:
        return UNAUTHORIZED
    if not actor.may(permission) or (case.whole and actor.principal.visible.streams is not None):
        return FORBIDDEN
    named = [OBJECTS[name] for name in OBJECTS if f"{{{name}}}" in path]
    if case.unseen is not None and not actor.sees(A, START):
        return case.unseen
    if named and not actor.sees(A, START if named[0][1] else None):
        return NOT_FOUND
    if (named or case.unseen is not None) and not actor.may(permission, A):
        return FORBIDDEN
    return case.to_users if case.to_users is not None and actor.principal.kind == "user" else case.status


def filled(path: str, camera: Camera) -> str:
    for name, (kind, _) in OBJECTS.items():
        path = path.replace(f"{{{name}}}", camera.id(kind))
    return path.format(**OTHERS)


def asked_for(method: str, path: str) -> str:
    """→ the path with its query."""
    query = case_of(method, path).query
    return f"{filled(path, A)}?{query}" if query else filled(path, A)


def strange(actor: Actor, asked: str, content: str) -> list[str]:
    """→ marks in an answer that this actor may not get. What the request named itself may be repeated."""
    hidden: list[str] = []
    for camera in (A, B):
        if not actor.sees(camera):
            hidden += [*camera.marks, *camera.ids]
        elif not actor.sees(camera, START):
            hidden += camera.past
        if not actor.may("streams:write", camera):
            hidden.append(camera.mark("url"))
        if actor.principal is None or actor.principal.visible.streams is not None:
            hidden.append(camera.mark("tier"))
    return [mark for mark in hidden if mark in content and mark not in asked]


def raw(answer: httpx.Response) -> str:
    return f"{answer.status_code} {dict(answer.headers)} {answer.content.decode(errors='replace')}"


@pytest.mark.parametrize(("method", "path", "function"), ROUTES, ids=[f"{route[0]} {route[1]}" for route in ROUTES])
def test_route_answers_everybody_exactly_so(matrix: Matrix, method: str, path: str, function: Callable[..., Any]):
    permission, case, asked = needed(function) or OPEN, case_of(method, path), asked_for(method, path)
    wrong: list[str] = []

    def check(actor: Actor, status: int, **headers: str) -> None:
        answer = matrix.ask(actor, method, asked, case.body, **headers)
        if answer.status_code != status:
            wrong.append(f"{actor.name} {headers}: expected {status}, got {raw(answer)[:300]}")
        if found := strange(actor, f"{asked} {case.body}", raw(answer)):
            wrong.append(f"{actor.name} {headers}: got {found}")
        if method not in SAFE and answer.is_success:
            matrix.restore()

    for actor in matrix.actors:
        status = expected(method, path, permission, actor)
        check(actor, status)
        if case.file:
            check(actor, 206 if status == 200 else status, Range="bytes=0-5")
            check(actor, 304 if status == 200 else status, **{"If-None-Match": "*"})
    assert not wrong, "\n".join(wrong)


def test_every_route_declares_what_it_needs_and_is_in_the_table():
    names = {f"{method} {path}" for method, path, _ in ROUTES if method != "HEAD"}
    assert names == set(CASES), "every route needs a line in CASES, and every line a route"
    undeclared = [f"{method} {path}" for method, path, function in ROUTES if needed(function) is None]
    assert undeclared == []
    sockets = [route for route in leaves(create_app(Settings()).routes) if isinstance(route, WebSocketRoute)]
    assert {route.path: needed(route.endpoint) for route in sockets} == {"/v1/ws": "live:read", "/{path:path}": "self"}


def test_marks_are_what_answers_are_made_of(matrix: Matrix):
    """Otherwise nothing would be found in the answers of strangers."""
    admin = next(actor for actor in matrix.actors if actor.name == "admin")
    paths = [path for method, path, _ in ROUTES if method == "GET"]
    content = "".join(raw(matrix.ask(admin, "GET", asked_for("GET", path))) for path in paths)
    content += _heard(matrix, admin)[1]
    assert [mark for mark in (*A.marks, *A.ids, A.mark("url")) if mark not in content] == []


def _heard(matrix: Matrix, actor: Actor, quiet_s: float = 0.2) -> tuple[int, str]:
    """→ (status, all that the websocket says: what there is, the past and the present)."""
    headers = dict(actor.headers)
    host, page = headers.pop("Host", "127.0.0.1"), headers.pop("Origin", None)
    origin = None if page is None else Origin(page)
    url = f"ws://{host}:{matrix.api.port}/v1/ws?since_seq=0"
    with socket.create_connection(("127.0.0.1", matrix.api.port), timeout=5) as connection:
        try:
            with connect(url, sock=connection, proxy=None, additional_headers=headers, origin=origin) as client:
                first = str(client.recv(timeout=5))
                matrix.api.call(matrix.world.publish(matrix.api.context.hub))
                return 101, first + _rest(client, quiet_s)
        except InvalidStatus as refused:
            return refused.response.status_code, (refused.response.body or b"").decode()


def _rest(client: ClientConnection, quiet_s: float) -> str:
    texts = []
    try:
        while True:
            texts.append(str(client.recv(timeout=quiet_s)))
    except TimeoutError:
        return "".join(texts)


def test_websocket_lets_in_whom_it_should_and_tells_nothing_else(matrix: Matrix):
    wrong: list[str] = []
    for actor in matrix.actors:
        status, content = _heard(matrix, actor)
        if actor.turned_away is not None:
            allowed = actor.turned_away
        else:
            allowed = UNAUTHORIZED if actor.principal is None else 101 if actor.may("live:read") else FORBIDDEN
        if status != allowed:
            wrong.append(f"{actor.name}: expected {allowed}, got {status} {content[:300]}")
        shown = "" if actor.sees(A, START) or not actor.sees(A) else A.mark("action")  # the present may be seen
        if found := [mark for mark in strange(actor, "/v1/ws", content) if mark != shown]:
            wrong.append(f"{actor.name}: got {found}")
        seen = [camera for camera in (A, B) if status == 101 and actor.sees(camera)]
        wrong += [f"{actor.name}: did not get {c.mark('action')}" for c in seen if c.mark("action") not in content]
    assert not wrong, "\n".join(wrong)
