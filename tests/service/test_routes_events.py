"""/v1/events over the real store."""

from typing import Any

import pytest

from tests.service.conftest import RunningApi, action
from tests.service.test_routes_streams import problem

STREAM = "str_0000000000000001"


@pytest.fixture
def filled(api: RunningApi) -> RunningApi:
    """Five events, a second apart; the last one goes on."""
    return fill(api)


@pytest.fixture(scope="module")
def file_filled(file_api: RunningApi) -> RunningApi:
    """The same for tests that only ask."""
    return fill(file_api)


def fill(api: RunningApi) -> RunningApi:
    async def publish() -> None:
        for n in range(5):
            at = f"2026-05-04T03:02:0{n}.000Z"
            changes: dict[str, Any] = {"captured_at": at, "track_id": n, "action": "squat" if n % 2 else "push up"}
            await api.context.hub.publish_action(action(f"evt_{n}", confidence=0.5 + n / 10, **changes))
            if n < 4:
                await api.context.hub.publish_action(action(f"evt_{n}", "ended", confidence=0.1, **changes))
        await api.context.hub.flush()

    api.call(publish())
    return api


def ids(api: RunningApi, query: str) -> list[str]:
    answer = api.client.get(f"/v1/events?{query}")
    assert answer.status_code == 200, answer.text
    return [event["id"][-1] for event in answer.json()["items"]]


def test_event_shows_its_whole_life(file_filled: RunningApi):
    items = file_filled.client.get("/v1/events").json()["items"]
    assert items[1] == {
        "id": "evt_3",
        "stream_id": STREAM,
        "track_id": 3,
        "action": "squat",
        "kind": "ended",
        "confidence": 0.1,
        "peak_confidence": 0.8,
        "start_s": 1.0,
        "end_s": 3.0,
        "started_at": "2026-05-04T03:02:03.000Z",
        "updated_at": "2026-05-04T03:02:03.000Z",
        "ended_at": "2026-05-04T03:02:03.000Z",
        "model": None,
        "zones": [],
        "verdict": None,
        "reviewed": False,
        "audit_sample": False,
    }
    assert (items[0]["kind"], items[0]["end_s"], items[0]["ended_at"]) == ("started", None, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "43210"),
        (f"stream={STREAM}", "43210"),
        ("stream=str_0000000000000002", ""),
        ("action=squat", "31"),
        ("action=squat&action=push%20up", "43210"),
        ("track=1&track=4", "41"),
        ("since=2026-05-04T03:02:03Z", "43"),
        ("until=2026-05-04T03:02:02Z", "10"),
        ("since=2026-05-04T05:02:01%2B02:00&until=2026-05-04T03:02:03.000Z", "21"),
        ("min_confidence=0.75", "43"),
        ("action=squat&min_confidence=0.75&limit=1", "3"),
    ],
)
def test_events_are_filtered(file_filled: RunningApi, query: str, found: str):
    assert "".join(ids(file_filled, query)) == found


def test_pages_keep_the_filter_and_new_events_shift_nothing(filled: RunningApi):
    first = filled.client.get("/v1/events?limit=2&min_confidence=0.6").json()
    filled.call(filled.context.hub.publish_action(action("evt_9", captured_at="2026-05-04T04:00:00.000Z")))
    filled.call(filled.context.hub.flush())
    second = filled.client.get("/v1/events", params={"limit": 2, "min_confidence": 0.6, "cursor": first["next_cursor"]})
    assert [event["id"] for event in first["items"] + second.json()["items"]] == ["evt_4", "evt_3", "evt_2", "evt_1"]
    assert second.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("since=2026-05-04T03:02:03", "since"),
        ("until=99999999999999999999999", "until"),
        ("min_confidence=2", "min_confidence"),
        ("min_confidence=nan", "min_confidence"),
        ("track=x", "track.0"),
        ("track=99999999999999999999", "track.0"),
        ("track=-1", "track.0"),
        ("limit=501", "limit"),
        ("cursor=abc", "cursor"),
        ("stream=%00", "stream.0"),
        ("sream=x", "sream"),
    ],
)
def test_bad_query_is_refused_naming_the_field(shared_api: RunningApi, query: str, field: str):
    errors = problem(shared_api.client.get(f"/v1/events?{query}"), 422)["errors"]
    assert [error["field"] for error in errors] == [field]
    assert all(error["expected"] and error["got"] for error in errors)
