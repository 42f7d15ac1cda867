"""Requests in the audit: every change once, refusals, and pictures where the operator wants that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.service.conftest import URL, RunningApi
from tests.service.storage.review.test_events import verdict
from tests.service.test_routes_media import INCIDENT, add_incident, link


def rows(api: RunningApi, **query: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    answer = api.client.get("/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["items"]))


def told(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["action"], row["object"], row["result"]) for row in found]


def test_every_change_of_a_stream_is_one_row_with_its_id(api: RunningApi):
    stream = api.client.post("/v1/streams", json={"url": URL}).json()["id"]
    api.client.patch(f"/v1/streams/{stream}", json={"name": "Gate"})
    api.client.post(f"/v1/streams/{stream}/restart")
    api.client.delete(f"/v1/streams/{stream}")
    found = rows(api)
    assert told(found) == [
        ("streams:write", stream, "ok"),
        ("streams:write", stream, "ok"),
        ("streams:restart", stream, "ok"),
        ("streams:write", stream, "ok"),
    ]
    assert [row["detail"]["method"] for row in found] == ["POST", "PATCH", "POST", "DELETE"]
    assert {(row["principal"], row["address"]) for row in found} == {("local", "127.0.0.1")}


def test_what_failed_or_was_only_read_is_no_row(api: RunningApi):
    assert api.client.post("/v1/streams", json={"url": "gopher://x"}).status_code == 422
    assert api.client.delete("/v1/streams/str_0123456789abcdef").status_code == 404
    assert api.client.get("/v1/streams").status_code == 200
    assert rows(api) == []


def test_a_refused_stranger_is_a_row(api: RunningApi):
    bad = {"Authorization": "Bearer acto_1a2b3c4d_" + "x" * 43}
    assert api.client.get("/v1/streams", headers=bad).status_code == 401
    assert api.client.delete("/v1/streams/str_1", headers={"Origin": "https://evil.example"}).status_code == 403
    found = rows(api)
    assert told(found) == [("denied", "/v1/streams", "refused"), ("denied", "/v1/streams/str_1", "refused")]
    assert "xxxx" not in str(found)


def test_a_websocket_that_is_refused_is_a_row(api: RunningApi):
    headers = {
        "Origin": "https://evil.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert api.client.get("/v1/ws", headers=headers).status_code == 403
    (row,) = rows(api)
    assert (row["action"], row["object"], row["detail"]["method"]) == ("denied", "/v1/ws", "WEBSOCKET")


@pytest.mark.parametrize("wanted", [False, True])
def test_pictures_are_rows_where_the_operator_wants_that(run_api: Callable[..., RunningApi], wanted: bool):
    api = run_api(audit_media=wanted)
    stream = api.client.post("/v1/streams", json={"url": URL}).json()["id"]
    for _ in range(3):
        assert api.client.get(f"/v1/streams/{stream}/snapshot.jpg").status_code == 200
    assert api.client.get(f"/v1/streams/{stream}").status_code == 200
    assert told(rows(api, action="media.view")) == ([("media.view", stream, "ok")] if wanted else [])


def test_whoever_looks_at_several_cameras_is_a_row_of_each(run_api: Callable[..., RunningApi]):
    api = run_api(audit_media=True)
    gate, yard, _ = (api.add(name=name)["id"] for name in ("Gate", "Yard", "Roof"))
    for _ in range(2):
        assert api.client.get("/v1/live", params={"stream": [gate, yard]}).status_code == 200
    assert sorted(told(rows(api, action="media.view"))) == sorted(("media.view", each, "ok") for each in (gate, yard))


def test_pictures_of_an_incident_are_rows_by_link_and_by_name(run_api: Callable[..., RunningApi]):
    api = run_api(audit_media=True)
    add_incident(api, INCIDENT)
    path = f"/v1/media/{INCIDENT}/snapshot.jpg"
    assert api.client.get(link(api, "snapshot.jpg")).status_code == 200
    assert api.client.get(path).status_code == 200
    assert api.client.get("/favicon.ico").status_code == 200
    found = rows(api, action="media.view")
    assert told(found) == [("media.view", INCIDENT, "ok")] * 2
    assert [row["principal"] for row in found] == ["-", "local"]
    assert all(row["detail"] == {"path": path} for row in found)  # without the signature


def test_clip_of_a_correction_is_a_row(run_api: Callable[..., RunningApi]):
    api = run_api(audit_media=True)
    stream = api.add()["id"]
    stored = verdict("evt_1", id="ver_0123456789abcdef", stream_id=stream, clip="stored")
    api.call(api.context.review.verdicts.put(stored))
    folder = api.settings.corrections_dir / stored.id
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(b"mp4")
    assert api.client.get(f"/v1/corrections/{stored.id}/clip.mp4").status_code == 200
    assert api.client.get("/v1/corrections").status_code == 200
    assert told(rows(api, action="media.view")) == [("media.view", stored.id, "ok")]


def test_whoever_is_refused_behind_the_gate_is_a_row_too(api: RunningApi):
    """By a route that is open, and by one that knows more of its principal."""
    api.add_user("root", "admin")
    path = f"/v1/media/{INCIDENT}/snapshot.jpg"
    assert api.client.get(path).status_code == 401
    api.log_in("root")
    token = api.visitor(token=api.add_token("admin", ("admin",))["token"])
    body = {"name": "another", "scopes": ["read"]}
    assert token.post("/v1/tokens", json=body).status_code == 403
    assert api.client.post("/v1/login", json={"name": "root", "password": "wrong"}).status_code == 401
    found = rows(api, result="refused")
    assert told(found) == [
        ("denied", path, "refused"),
        ("denied", "/v1/tokens", "refused"),
        ("login", "root", "refused"),
    ]


def test_the_list_has_pages_and_filters(api: RunningApi):
    streams = [api.client.post("/v1/streams", json={"url": URL}).json()["id"] for _ in range(3)]
    first = api.client.get("/v1/audit", params={"limit": 2}).json()
    second = api.client.get("/v1/audit", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [row["object"] for row in first["items"] + second["items"]] == streams[::-1]
    assert second["next_cursor"] is None
    assert len(rows(api, principal="local", action="streams:write", result="ok")) == 3
    assert rows(api, result="refused") == rows(api, until="2020-01-01T00:00:00Z") == []
    assert len(rows(api, since="2020-01-01T00:00:00Z")) == 3


@pytest.mark.parametrize(
    "query", [{"result": "fine"}, {"since": "yesterday"}, {"cursor": "WzEsICJzdHJfMSJd"}, {"x": 1}]
)
def test_a_query_that_is_none_says_what_is_expected(shared_api: RunningApi, query: dict[str, Any]):
    answer = shared_api.client.get("/v1/audit", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["expected"]


def test_log_ins_that_were_turned_away_are_in_the_metrics(api: RunningApi):
    for _ in range(6):
        api.client.post("/v1/login", json={"name": "anna", "password": "wrong"})
    assert "actoscope_login_turned_away_total 1.0" in api.client.get("/metrics").text
    assert told(rows(api, action="login")) == [("login", "anna", "refused")]


def test_the_audit_is_in_the_metrics(api: RunningApi):
    api.client.post("/v1/streams", json={"url": URL})
    text = api.client.get("/metrics").text
    assert "actoscope_audit_rows_total 1.0" in text
    assert "actoscope_audit_lost_total 0.0" in text
