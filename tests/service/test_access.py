"""Who gets in, against the real application: first start, log-in, users, tokens."""

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from service.access.access import NobodyMayEnter
from service.app import create_app
from service.logs import RedactingFormatter, configure
from service.rights import OPEN, PERMISSIONS
from service.routes.needs import UndeclaredRoute
from service.routes.review import events
from service.settings import Settings
from tests.service.conftest import PASSWORD, URL, RunningApi
from tests.service.scripted import ScriptedSupervisor
from tests.service.test_routes_operation import operations
from tests.service.test_routes_streams import problem

BEHIND = {"X-Forwarded-Host": "cameras.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
EVERY_SCOPE = ("read", "label", "control", "admin", "metrics")
OPEN_PATHS = ("/", "/healthz", "/readyz", "/web/page.js", "/web/page.css", "/web/icon.svg", "/favicon.ico")


def ws_status(api: RunningApi, headers: dict[str, str] | None = None, path: str = "/v1/ws") -> int:
    """→ 101 where it opens."""
    url = f"ws://127.0.0.1:{api.port}{path}"
    try:
        with connect(url, proxy=None, additional_headers=headers or {}) as socket:
            assert json.loads(socket.recv())["type"] == "hello"
            return 101
    except InvalidStatus as refused:
        assert refused.response.headers["content-type"] == "application/problem+json"
        return refused.response.status_code


# -- what routes declare


def test_start_fails_with_a_route_that_does_not_say_who_may_use_it(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    router = APIRouter(prefix="/v1/secrets")

    @router.get("/{name}")
    async def tell(name: str) -> str:
        return name

    @router.websocket("/live")
    async def live() -> None:
        """Nothing."""

    monkeypatch.setattr(events, "router", router)
    with pytest.raises(UndeclaredRoute, match=r"GET /v1/secrets/\{name\}, WEBSOCKET /v1/secrets/live, HEAD /v1/secr"):
        create_app(settings)


def test_openapi_states_of_every_operation_what_it_needs(shared_api: RunningApi):
    document = shared_api.client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"session", "token"}
    for name, operation in operations(document):
        permission = operation["x-permission"]
        assert permission in PERMISSIONS or permission == OPEN, name
        is_open = name in ("get /healthz", "get /readyz", "post /v1/login")
        by_link: list[dict[str, list[str]]] = [{}] if "/v1/media/" in name else []
        assert operation["security"] == ([] if is_open else [*by_link, {"session": []}, {"token": []}]), name
        assert ("Open to everyone" in operation["description"]) == is_open, name
        assert is_open or {"401", "403"} <= set(operation["responses"]), name


# -- the first start


def test_this_machine_is_admin_until_there_is_a_user(api: RunningApi):
    me = api.client.get("/v1/me").json()
    assert (me["kind"], me["role"], me["visible"]) == ("local", "admin", "all")
    assert set(me["permissions"]) == set(PERMISSIONS)
    assert api.client.get("/metrics").status_code == 200
    api.add_user("anna", "admin")
    for path in ("/v1/me", "/v1/streams", "/metrics", "/v1/nothing", "/openapi.json", "/v1/ws"):
        assert problem(api.client.get(path), 401)["detail"].startswith("nobody is logged in")
    assert ws_status(api) == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8000"},
        {"Host": "localhost.evil.example"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
    ],
)
def test_what_may_come_from_elsewhere_is_not_local(shared_api: RunningApi, headers: dict[str, str]):
    problem(shared_api.client.get("/v1/streams", headers=headers), 401)
    assert shared_api.client.get("/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST.", "127.0.0.1", "[::1]:8000"])
def test_loopback_hosts_are_local(shared_api: RunningApi, host: str):
    assert shared_api.client.get("/v1/streams", headers={"Host": host}).status_code == 200


async def _start(settings: Settings) -> None:
    app = create_app(settings, ScriptedSupervisor)
    async with app.router.lifespan_context(app):
        pass


def test_address_of_a_network_needs_a_user_or_a_proxy(settings: Settings, run_api: Callable[..., RunningApi]):
    everywhere = settings.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(NobodyMayEnter, match="actoscope users add NAME --role admin"):
        asyncio.run(_start(everywhere))
    proxied = {
        "proxy_user_header": "Remote-User",
        "trusted_proxies": ("192.0.2.1",),
        "proxy_role_map": {"admin": ("a",)},
    }
    asyncio.run(_start(everywhere.model_copy(update=proxied)))
    api = run_api()
    api.add_user("anna", "admin")
    api.stop()
    asyncio.run(_start(everywhere))


# -- strangers


def test_strangers_are_told_nothing_of_what_there_is(api: RunningApi):
    stream = api.add(name="c4n4ry")
    api.add_user("anna", "admin")
    for method, path in (
        ("GET", f"/v1/streams/{stream['id']}"),
        ("GET", "/v1/streams/str_0000000000000000"),
        ("GET", "/v1/nothing"),
        ("PUT", "/v1/streams"),
        ("POST", "/healthz"),
        ("HEAD", "/v1/streams"),
        ("DELETE", "/v1/users/usr_0123456789abcdef"),
    ):
        answer = api.client.request(method, path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="actoscope"')
        assert "c4n4ry" not in answer.text
    for path in OPEN_PATHS:
        assert api.client.get(path).status_code == 200
    assert [ws_status(api), ws_status(api, path="/v1/nothing")] == [401, 401]


def test_strangers_are_refused_before_their_body_is_read(api: RunningApi):
    api.add_user("anna", "admin")

    with socket.create_connection(("127.0.0.1", api.port), timeout=5) as raw:
        raw.sendall(
            b"POST /v1/streams HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 401")


# -- logging in


def test_log_in_makes_a_session_of_a_cookie_and_log_out_ends_it(api: RunningApi):
    api.add_user("Ａnna", "admin")
    answer = api.client.post("/v1/login", json={"name": "anna", "password": PASSWORD})
    (cookie,) = answer.headers.get_list("set-cookie")
    name, *attributes = cookie.split("; ")
    assert name.startswith("actoscope=") and len(name) == len("actoscope=") + 43
    assert set(attributes) == {"HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=lax"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == api.client.get("/v1/me").json()
    assert answer.json()["name"] == "Ａnna"
    api.add()
    assert ws_status(api, {"Cookie": name}) == 101
    out = api.client.post("/v1/logout")
    assert (out.json(), api.client.cookies.get("actoscope")) == ({"logout_url": None}, None)
    problem(api.client.get("/v1/me", headers={"Cookie": name}), 401)
    assert ws_status(api, {"Cookie": name}) == 401


def test_cookie_over_https_is_bound_to_the_host_and_counts_there_alone(run_api: Callable[..., RunningApi]):
    api = run_api(root_path="/cameras")
    api.add_user("anna", "admin")
    answer = api.client.post("/v1/login", json={"name": "anna", "password": PASSWORD}, headers=BEHIND)
    (cookie,) = answer.headers.get_list("set-cookie")
    name, *attributes = cookie.split("; ")
    assert name.startswith("__Host-actoscope=")
    assert set(attributes) == {"HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=lax", "Secure"}
    value = name.partition("=")[2]
    visitor = api.visitor(Cookie=name)
    assert visitor.get("/v1/me", headers=BEHIND).status_code == 200
    problem(visitor.get("/v1/me"), 401)
    problem(api.visitor(Cookie=f"actoscope={value}").get("/v1/me", headers=BEHIND), 401)
    plain = api.visitor().post("/v1/login", json={"name": "anna", "password": PASSWORD})
    assert "Path=/cameras" in plain.headers["set-cookie"]


def test_passwords_are_not_taken_over_plain_http_from_elsewhere(api: RunningApi):
    api.add_user("anna", "admin")
    headers = {"Host": "192.0.2.1:8000"}
    answer = api.client.post("/v1/login", json={"name": "anna", "password": PASSWORD}, headers=headers)
    assert "https" in problem(answer, 403)["detail"]


def test_wrong_log_in_says_the_same_of_every_name_and_repeats_no_password(api: RunningApi):
    api.add_user("anna", "admin")
    said = set()
    for name in ("anna", "nobody"):
        answer = api.client.post("/v1/login", json={"name": name, "password": "c4n4ry c4n4ry"})
        said.add(problem(answer, 401)["detail"])
        assert "c4n4ry" not in answer.text and "set-cookie" not in answer.headers
    assert len(said) == 1
    for body in ({"name": "anna"}, {"name": "anna", "password": ["c4n4ry"]}, {"name": 5, "password": "c4n4ry"}):
        assert "c4n4ry" not in api.client.post("/v1/login", json=body).text


def test_thousand_wrong_passwords_through_a_trusted_proxy_lock_the_attacker_only(api: RunningApi):
    api.add_user("anna", "admin")
    mallory = api.visitor(**{**BEHIND, "X-Forwarded-For": "198.51.100.66, 203.0.113.66"})
    statuses = [mallory.post("/v1/login", json={"name": "anna", "password": "wrong"}) for _ in range(1000)]
    assert [answer.status_code for answer in statuses].count(401) == 5
    assert [answer.status_code for answer in statuses].count(429) == 995
    assert 1 <= int(statuses[-1].headers["retry-after"]) <= 3600
    api.log_in("anna", api.visitor(**BEHIND))
    api.log_in("anna")
    right = mallory.post("/v1/login", json={"name": "anna", "password": PASSWORD})
    problem(right, 429)


# -- users, tokens


def test_users_are_added_changed_and_removed(api: RunningApi):
    problem(
        api.client.post("/v1/users", json={"name": "bert", "password": PASSWORD, "grants": [{"role": "viewer"}]}), 409
    )
    anna = api.add_user("anna", "admin")
    assert set(anna) == {"id", "name", "grants", "enabled", "created_at", "changed_at"}
    api.log_in("anna")
    since = "2026-05-04T03:02:01.000Z"
    grants = [{"role": "operator", "streams": "group:yard", "history_since": since}]
    bert = api.client.post("/v1/users", json={"name": "Bert", "password": PASSWORD, "grants": grants}).json()
    assert bert["grants"] == grants
    assert api.client.get("/v1/users").json() == {"items": [anna, bert], "next_cursor": None}
    assert api.client.get(f"/v1/users/{bert['id']}").json() == bert
    visitor = api.visitor()
    api.log_in("bert", visitor)
    assert visitor.get("/v1/me").json()["permissions"]  # somewhere, though no stream is in that group
    changed = api.client.patch(f"/v1/users/{bert['id']}", json={"grants": [{"role": "viewer"}]}).json()
    assert changed["grants"] == [{"role": "viewer", "streams": "*", "history_since": None}]
    problem(visitor.get("/v1/me"), 401)
    api.log_in("BERT", visitor)
    assert visitor.get("/v1/streams").status_code == 200
    denied = problem(visitor.post("/v1/streams", json={"url": URL}), 403)
    assert denied["detail"] == "this needs streams:write: the role of admin, which Bert has not"
    for path in ("/v1/users", "/v1/tokens", f"/v1/users/{anna['id']}"):
        problem(visitor.get(path), 403)
    problem(api.client.post("/v1/users", json={"name": "ｂert", "password": PASSWORD, "grants": grants}), 409)
    assert api.client.delete(f"/v1/users/{bert['id']}").status_code == 204
    problem(visitor.get("/v1/me"), 401)
    for answer in (
        api.client.delete(f"/v1/users/{anna['id']}"),
        api.client.patch(f"/v1/users/{anna['id']}", json={"enabled": False}),
        api.client.patch(f"/v1/users/{anna['id']}", json={"grants": [{"role": "viewer"}]}),
    ):
        assert "admin" in problem(answer, 409)["detail"]
    problem(api.client.get("/v1/users/usr_0123456789abcdef"), 404)
    problem(api.client.get("/v1/users/nonsense"), 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "\u200b"}, "name"),
        ({"password": "c4n4ry"}, "password"),
        ({"grants": []}, "grants"),
        ({"grants": [{"role": "root"}]}, "grants.0.role"),
        ({"grants": [{"role": "viewer", "streams": "all"}]}, "grants.streams"),
        ({"grants": [{"role": "admin", "streams": "group:yard"}]}, "grants.role"),
        ({"grants": [{"role": "viewer", "history_since": "yesterday"}]}, "grants.0.history_since"),
        ({"is_admin": True}, "is_admin"),
    ],
)
def test_user_that_cannot_be_is_explained(shared_api: RunningApi, change: dict[str, Any], field: str):
    body = {"name": "anna", "password": PASSWORD, "grants": [{"role": "admin"}], **change}
    answer = shared_api.client.post("/v1/users", json=body)
    assert [error["field"] for error in problem(answer, 422)["errors"]] == [field]
    assert "c4n4ry" not in answer.text


def test_own_password_is_changed_and_every_other_session_ends(api: RunningApi):
    api.add_user("anna", "admin")
    one, other = api.visitor(), api.visitor()
    for client in (one, other):
        api.log_in("anna", client)
    problem(one.patch("/v1/me", json={"old_password": "wrong", "password": "staple by staple"}), 401)
    changed = one.patch("/v1/me", json={"old_password": PASSWORD, "password": "staple by staple"})
    assert changed.status_code == 200
    assert one.get("/v1/me").status_code == 200
    problem(other.get("/v1/me"), 401)
    api.log_in("anna", other, "staple by staple")


def test_token_is_shown_once_and_only_as_a_bearer(api: RunningApi, caplog: pytest.LogCaptureFixture):
    made = api.add_token("admin", ("read", "metrics"))
    token = made.pop("token")
    api.add_user("anna", "admin")
    program = api.visitor(token=token)
    caplog.set_level(logging.DEBUG)
    me = program.get("/v1/me").json()
    assert (me["kind"], me["id"], me["scopes"], me["role"]) == ("token", made["id"], ["metrics", "read"], "admin")
    assert program.get("/metrics").status_code == 200
    assert "has not the scope admin" in problem(program.get("/v1/users"), 403)["detail"]
    assert ws_status(api, {"Authorization": f"Bearer {token}"}) == 101
    for query in (f"token={token}", f"access_token=%61cto{token[4:]}", token):
        for path in ("/v1/streams", "/", "/healthz"):
            assert "does not belong into a URL" in problem(api.visitor().get(f"{path}?{query}"), 401)["detail"]
        assert ws_status(api, path=f"/v1/ws?{query}") == 401
    secret = token[14:]
    logged = "\n".join(RedactingFormatter().format(record) for record in caplog.records)
    assert secret not in logged and "acto_" in logged  # websockets' client among them, who says all it sends
    for value in (f"Basic {token}", token, f"Bearer  {token}x", f"Bearer {token[:-1]}", "Bearer", f"Token {token}"):
        problem(api.visitor(Authorization=value).get("/v1/me"), 401)
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    problem(httpx.get(f"{api.url}/v1/me", headers=twice, trust_env=False, timeout=60), 401)
    api.log_in("anna")
    (listed,) = api.client.get("/v1/tokens").json()["items"]
    assert listed["used_at"] is not None
    assert {**listed, "used_at": None} == made
    assert secret not in api.client.get("/v1/tokens").text
    assert api.client.delete(f"/v1/tokens/{made['id']}").status_code == 204
    assert "revoked" in problem(program.get("/v1/me"), 401)["detail"]
    assert ws_status(api, {"Authorization": f"Bearer {token}"}) == 401
    problem(api.client.delete("/v1/tokens/00000000"), 404)
    problem(api.client.delete("/v1/tokens/nonsense"), 404)
    assert secret.encode() not in b"".join(path.read_bytes() for path in api.settings.data_dir.glob("actoscope.db*"))


def test_most_talkative_log_has_no_headers_of_websockets(api: RunningApi, capsys: pytest.CaptureFixture[str]):
    root, server = logging.getLogger(), logging.getLogger("uvicorn.error")
    kept = (root.handlers[:], root.level, server.level)
    try:
        configure("debug", "text")
        logging.getLogger("websockets.client").setLevel(logging.WARNING)
        assert ws_status(api, {"Cookie": "actoscope=c4n4ry"}) == 101
        root.debug("heard")
        said = capsys.readouterr().err
    finally:
        root.handlers[:], root.level, server.level = kept
        logging.getLogger("websockets.client").setLevel(logging.NOTSET)
    assert "heard" in said and "c4n4ry" not in said


def test_token_ends_in_ninety_days_unless_it_is_given_another_time(api: RunningApi):
    made = api.add_token()
    age = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert age.days == 90
    assert api.add_token(expires_at=None)["expires_at"] is None
    body = {"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}
    problem(api.client.post("/v1/tokens", json=body), 422)
    problem(api.client.post("/v1/tokens", json={"name": "x", "scopes": []}), 422)
    problem(api.client.post("/v1/tokens", json={"name": "x", "scopes": ["root"]}), 422)
    maker = api.visitor(token=api.add_token("admin", EVERY_SCOPE)["token"])
    assert "makes no tokens" in problem(maker.post("/v1/tokens", json={"name": "x", "scopes": ["read"]}), 403)["detail"]
