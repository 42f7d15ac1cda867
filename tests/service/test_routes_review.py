"""Verdicts, marks, the timeline and the search over the API: what is refused, who may, what is written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.storage.access.audit import AuditFilter, list_audit
from tests.service.conftest import RunningApi, action
from tests.service.storage.review.test_events import verdict
from tests.service.test_routes_streams import problem

AT = "2026-05-04T03:02:01.000Z"


@pytest.fixture
def judged(api: RunningApi) -> RunningApi:
    """One event of five seconds, seen by ``surveillance``."""
    tell(api, "evt_1", api.add(name="Gate")["id"])
    return api


@pytest.fixture(scope="module")
def file_judged(file_api: RunningApi) -> RunningApi:
    """The same for tests that change nothing."""
    tell(file_api, "evt_1", file_api.add(name="Gate")["id"])
    return file_api


def tell(api: RunningApi, event_id: str, stream: str, **changes: Any) -> None:
    async def publish() -> None:
        given = {"stream_id": stream, "model": "surveillance", "captured_at": AT, "start_s": 10.0, **changes}
        await api.context.hub.publish_action(action(event_id, **given))
        ended = {**given, "captured_at": "2026-05-04T03:02:06.000Z", "end_s": 15.0}
        await api.context.hub.publish_action(action(event_id, "ended", **ended))
        await api.context.hub.flush()

    api.call(publish())


def add_correction(api: RunningApi, verdict_id: str = "ver_0123456789abcdef") -> str:
    """One whose clip is there. → its id."""
    clip = api.context.review.keeper.folder.clip(verdict_id)
    if not clip.exists():
        clip.parent.mkdir(parents=True)
        clip.write_bytes(b"what is in it is not looked at")
        row = verdict("evt_1", id=verdict_id, clip="stored", sha256="0" * 64)
        api.call(api.context.review.verdicts.put(row))
    return verdict_id


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verdict": "maybe"}, "verdict"),
        ({}, "verdict"),
        ({"verdict": "wrong"}, "label"),
        ({"verdict": "wrong", "label": "push up"}, "label"),  # that is what the network said
        ({"verdict": "wrong", "label": "flying"}, "label"),
        ({"verdict": "right", "label": "squat"}, "label"),
        ({"verdict": "unsure", "label": "squat"}, "label"),
        ({"verdict": "right", "start_s": -60.0}, "start_s"),
        ({"verdict": "right", "end_s": 75.1}, "end_s"),
        ({"verdict": "right", "start_s": 14.0, "end_s": 12.0}, "end_s"),
        ({"verdict": "right", "start_s": "NaN"}, "start_s"),
        ({"verdict": "right", "note": "x"}, "note"),
    ],
)
def test_wrong_verdicts_are_refused_naming_the_field(file_judged: RunningApi, body: dict[str, Any], field: str):
    errors = problem(file_judged.client.put("/v1/events/evt_1/verdict", json=body), 422)["errors"]
    assert [error["field"] for error in errors] == [field]
    assert file_judged.client.get("/v1/events/evt_1/verdicts").json()["items"] == []


def test_verdict_is_shared_reviewed_is_not_and_only_the_verdict_is_written_down(judged: RunningApi):
    judged.add_user("root", "admin")
    judged.log_in("root")
    operator, viewer = judged.add_user("olga", "operator"), judged.add_user("vera", "viewer")
    olga, vera = judged.visitor(), judged.visitor()
    judged.log_in("olga", olga)
    judged.log_in("vera", vera)
    answer = olga.put("/v1/events/evt_1/verdict", json={"verdict": "wrong", "label": "squat", "start_s": 11.5})
    assert answer.json() | {"id": "", "at": ""} == {
        **{"id": "", "verdict": "wrong", "label": "squat", "start_s": 11.5, "end_s": 15.0, "by": "olga", "at": ""},
        "version": 1,
    }
    assert olga.put("/v1/events/evt_1/reviewed", json={"reviewed": True}).status_code == 204
    assert vera.put("/v1/events/evt_1/verdict", json={"verdict": "right"}).status_code == 403
    assert vera.post("/v1/events/reviewed", json={"ids": ["evt_1"], "reviewed": True}).status_code == 204
    for client in (olga, vera):
        event = client.get("/v1/events/evt_1").json()
        assert (event["verdict"]["label"], event["reviewed"]) == ("squat", True)
    assert judged.client.get("/v1/events/evt_1").json()["reviewed"] is False, "each has marks of his own"
    page = judged.call(list_audit(judged.context.database, AuditFilter(), None, 50))
    told = [(row.action, row.object) for row in page.items if row.action.startswith("events:")]
    assert told == [("events:label", "evt_1")]
    assert operator["id"] != viewer["id"]


def test_unknown_events_are_404_and_many_marks_are_bounded(judged: RunningApi):
    client = judged.client
    problem(client.get("/v1/events/evt_2"), 404)
    problem(client.get("/v1/events/%00"), 404)
    problem(client.put("/v1/events/evt_2/verdict", json={"verdict": "right"}), 404)
    problem(client.post("/v1/events/reviewed", json={"ids": ["evt_1", "evt_2"], "reviewed": True}), 422)
    assert client.get("/v1/events?reviewed=true").json()["items"] == [], "all or none"
    problem(client.post("/v1/events/reviewed", json={"ids": ["evt_1"] * 501, "reviewed": True}), 422)
    problem(client.post("/v1/events/reviewed", json={"ids": [], "reviewed": True}), 422)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("verdict=none", 1),
        ("verdict=right", 0),
        ("reviewed=false&audit_sample=false", 1),
        ("min_duration_s=4.9", 1),
        ("min_duration_s=5.1", 0),
        ("max_confidence=0.5", 0),
        ("time_of_day=03:00-04:00", 1),  # without a zone it is UTC
        ("time_of_day=03:00-04:00&timezone=Asia/Tokyo", 0),
        ("time_of_day=12:00-13:00&timezone=Asia/Tokyo", 1),
        ("order=review", 1),
        ("model=surveillance", 1),
        ("rule=rul_0123456789abcdef", 0),
    ],
)
def test_filters_of_the_review_are_understood(file_judged: RunningApi, query: str, found: int):
    answer = file_judged.client.get(f"/v1/events?{query}")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("verdict=maybe", "verdict.0"),
        ("time_of_day=22-6", "time_of_day"),
        ("timezone=Mars", "timezone"),
        ("order=oldest", "order"),
        ("min_duration_s=-1", "min_duration_s"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("since=9999-12-31T23:59:59Z&time_of_day=22:00-06:00", "since"),
        ("until=3000-01-01T00:00:00Z", "until"),
        ("order=review&cursor=WzE3NzgwMDAwMDAuMCwgInN0cl8wMTIzIl0", "cursor"),
    ],
)
def test_wrong_filters_are_refused_naming_the_field(shared_api: RunningApi, query: str, field: str):
    errors = problem(shared_api.client.get(f"/v1/events?{query}"), 422)["errors"]
    assert [error["field"] for error in errors] == [field]


def test_service_has_a_zone_which_everybody_is_told(run_api: Callable[..., RunningApi]):
    api = run_api(timezone="Asia/Tokyo")
    tell(api, "evt_1", api.add(name="Gate")["id"])
    assert api.client.get("/v1/me").json()["timezone"] == "Asia/Tokyo"
    assert len(api.client.get("/v1/events?time_of_day=12:00-13:00").json()["items"]) == 1
    found = api.client.get("/v1/search?q=squats at the gate 22-6 blorb").json()
    assert found["query"] == {
        "action": ["squat"],
        "stream": [api.client.get("/v1/streams").json()["items"][0]["id"]],
        "time_of_day": ["22:00-06:00"],
        "timezone": ["Asia/Tokyo"],
    }
    assert found["rest"] == "blorb"
    assert api.client.get("/v1/events", params=found["query"]).status_code == 200, "events take what the search gives"


def test_timeline_shows_a_span_and_refuses_too_long_ones(file_judged: RunningApi):
    span = {"since": "2026-05-04T00:00:00Z", "until": "2026-05-05T00:00:00Z"}
    found = file_judged.client.get("/v1/timeline", params=span).json()
    stream = file_judged.client.get("/v1/streams").json()["items"][0]["id"]
    assert found == {
        "since": "2026-05-04T00:00:00.000Z",
        "until": "2026-05-05T00:00:00.000Z",
        "timezone": "UTC",
        "streams": [{"id": stream, "name": "Gate", "recordings": []}],
        "events": [["evt_1", stream, 7, "push up", 1777863721.0, 1777863726.0, 0.8, None, False, False]],
        "left_out": 0,
        "recordings_left_out": 0,
        "density": [[1777863600, "push up", 1]],
        "bucket_s": 300,
    }
    for since in ("0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"):
        errors = problem(file_judged.client.get("/v1/timeline", params={"since": since, "until": since}), 422)["errors"]
        assert [error["field"] for error in errors] == ["since", "until"]
    for until in ("2026-06-05T00:00:00Z", "2026-05-04T00:00:00Z", "2026-05-03T00:00:00Z"):
        errors = problem(file_judged.client.get("/v1/timeline", params={**span, "until": until}), 422)["errors"]
        assert [error["field"] for error in errors] == ["until"]
