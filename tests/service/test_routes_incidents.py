"""From what a stream says to an incident: on the websocket, over REST, in the outbox; its picture and its clip."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from websockets.sync.client import ClientConnection, connect

from service.alerts.changes import Change
from service.alerts.media import MAX_CLIP_S, clip_span
from service.rights import Visible
from service.storage.alert_tables import OutboxRow
from service.storage.incidents import IncidentFilter
from service.storage.segment import Segment
from service.wire_messages import rfc3339
from tests.service.alerts.scripted_log import say, see
from tests.service.conftest import RunningApi, action
from tests.service.recording.test_clip_file import record, times
from tests.service.scripted import JPEG
from tests.service.test_routes_rules import SINK, add_rule, add_sink
from tests.service.test_routes_streams import problem
from tests.support.service import wait_for

QUICK = {"group_s": 0, "cooldown_s": 0}


@pytest.fixture
def watching(api: RunningApi) -> Iterator[ClientConnection]:
    with connect(f"{api.ws_url}?severity=alert") as socket:
        assert json.loads(socket.recv(5))["type"] == "hello"
        yield socket


def tell(api: RunningApi, *messages: dict[str, Any]) -> None:
    async def publish() -> None:
        for message in messages:
            if message["type"] == "action":
                await api.context.hub.publish_action(message)
            elif message["type"] == "presence":
                await api.context.hub.publish_presence(message)
            else:
                await api.context.hub.publish_stream(message)
        await api.context.hub.flush()

    api.call(publish())


def now_action(stream: str, kind: str = "started", ago_s: float = 0.0, **changes: Any) -> dict[str, Any]:
    return action(kind=kind, stream_id=stream, captured_at=rfc3339(time.time() - ago_s), **changes)


def next_incident(socket: ClientConnection) -> dict[str, Any]:
    while True:
        message = json.loads(socket.recv(5))
        if message["type"] == "incident":
            return dict(message)


def outbox(api: RunningApi) -> list[OutboxRow]:
    def read(session: Any) -> list[OutboxRow]:
        rows = list(session.scalars(select(OutboxRow).order_by(OutboxRow.id)))
        session.expunge_all()
        return rows

    rows: list[OutboxRow] = api.call(api.context.database.read(read))
    return rows


def found(api: RunningApi, count: int, query: str = "") -> list[dict[str, Any]]:
    def listed() -> Any:
        items = api.client.get(f"/v1/incidents?{query}").json()["items"]
        return items if len(items) == count else None

    items: list[dict[str, Any]] = wait_for(listed, 10, f"{count} incidents {query}")
    return items


def test_action_becomes_an_incident_on_the_websocket_over_rest_and_in_the_outbox(
    api: RunningApi, watching: ClientConnection
):
    add_sink(api)
    stream = api.add(name="Gate")["id"]
    rule = add_rule(api, streams=[stream], sinks=[SINK], **QUICK)
    tell(api, now_action(stream))
    started = next_incident(watching)
    assert (started["kind"], started["n"], started["rule_id"], started["action"]) == (
        "started",
        1,
        rule["id"],
        "push up",
    )
    tell(api, now_action(stream, "ended"))
    ended = next_incident(watching)
    assert (ended["kind"], ended["n"], ended["incident_id"]) == ("ended", 2, started["incident_id"])
    assert ended["seq"] > started["seq"]

    incident = api.client.get(f"/v1/incidents/{started['incident_id']}").json()
    assert incident == found(api, 1)[0]
    assert (incident["state"], incident["tracks"], incident["people"]) == ("ended", [7], 1)
    assert (incident["rule_name"], incident["severity"], incident["clip_state"]) == ("Push ups", "alert", "none")

    first, second = outbox(api)
    assert (first.type, first.n, second.type, second.n) == ("incident.started", 1, "incident.ended", 2)
    assert first.body["incident"]["stream_name"] == "Gate"
    assert first.expires_at == pytest.approx(time.time() + 3600, abs=10)
    link = first.body["links"]["snapshot"]
    wait_for(lambda: api.client.get(incident_path(incident)).json()["snapshot"], 5, "its picture")
    assert api.client.get(link).content == JPEG, "the link in the message is signed"


def incident_path(incident: dict[str, Any]) -> str:
    return f"/v1/incidents/{incident['id']}"


def test_incidents_are_replayed_and_chosen_by_rule(api: RunningApi):
    stream = api.add()["id"]
    rules = [add_rule(api, **QUICK)["id"] for _ in range(2)]
    tell(api, now_action(stream))
    found(api, 2)
    with connect(f"{api.ws_url}?since_seq=0&rule={rules[1]}&action=none") as socket:
        assert next_incident(socket)["rule_id"] == rules[1]


def test_incidents_are_filtered_and_paged(api: RunningApi):
    stream = api.add()["id"]
    loud = add_rule(api, severity="warning", zones={"any": ["gate"]}, **QUICK)["id"]
    add_rule(api, **QUICK)
    for number in range(2):
        event: dict[str, Any] = {"event_id": f"evt_{number}", "track_id": number, "zones": ["gate"]}
        tell(api, now_action(stream, **event), now_action(stream, "ended", **event))
        found(api, 2 * number + 2)
    for query, count in ((f"rule={loud}", 2), ("zone=gate", 2), ("severity=alert", 2), (f"stream={stream}", 4)):
        found(api, count, query)
    found(api, 4, "state=ended")
    assert api.client.get("/v1/incidents?state=started&since=2099-01-01T00:00:00Z").json()["items"] == []
    first = api.client.get("/v1/incidents?limit=3").json()
    rest = api.client.get("/v1/incidents", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [3, 1, None]
    assert len({each["id"] for each in first["items"] + rest["items"]}) == 4
    assert problem(api.client.get("/v1/incidents?state=open"), 422)


def test_what_may_not_be_seen_is_not_there(api: RunningApi):
    stream = api.add()["id"]
    add_rule(api, streams=[stream], **QUICK)
    tell(api, now_action(stream))
    incident_id = found(api, 1)[0]["id"]
    store, everything = api.context.alerts.incidents, IncidentFilter()
    views = (
        Visible(),
        Visible({stream: None}),
        Visible({stream: time.time() + 60}),
        Visible({"str_x": None}),
        Visible({}),
    )
    for visible, sees in zip(views, (True, True, False, False, False), strict=True):
        assert bool(api.call(store.get(incident_id, visible))) is sees
        assert bool(api.call(store.list(everything, visible, None, 10)).items) is sees
        assert bool(api.call(api.context.alerts.rules.list(visible, None, 10)).items) is (sees or visible.sees(stream))


def test_unknown_incident_and_file_that_is_not_there_are_404(api: RunningApi):
    assert problem(api.client.get("/v1/incidents/inc_0123456789abcdef"), 404)
    api.supervisor.pictures = []
    stream = api.add()["id"]
    add_rule(api, **QUICK)
    tell(api, now_action(stream))
    path = incident_path(found(api, 1)[0])
    for name in ("snapshot.jpg", "clip.mp4"):
        assert "no such file" in problem(api.client.get(f"{path}/{name}"), 404)["detail"]


def test_deleted_rule_ends_its_incidents_and_snooze_does_too(api: RunningApi, watching: ClientConnection):
    stream = api.add()["id"]
    rules = [add_rule(api, **QUICK)["id"] for _ in range(2)]
    tell(api, now_action(stream))
    assert {next_incident(watching)["kind"] for _ in rules} == {"started"}
    api.client.delete(f"/v1/rules/{rules[0]}")
    ended = next_incident(watching)
    assert (ended["kind"], ended["rule_id"]) == ("ended", rules[0])
    api.client.post(f"/v1/rules/{rules[1]}/snooze", json={"minutes": 5})
    ended = next_incident(watching)
    assert (ended["kind"], ended["rule_id"]) == ("ended", rules[1])
    tell(api, now_action(stream, event_id="evt_2"))
    found(api, 2)


def test_failed_stream_is_told_to_sinks_that_want_to_hear_of_streams(api: RunningApi):
    add_sink(api)
    add_sink(api, "snk_00000000000000bb", stream_events=True)
    stream = api.add(name="Gate")["id"]
    reason = "nothing accepts connections at camera.invalid:554"
    tell(api, {**say("failed", stream, "unauthorized"), "reason": reason}, say("running", stream))
    wait_for(lambda: len(outbox(api)) == 2, 5, "two messages")
    failed, recovered = outbox(api)
    assert (failed.type, recovered.type) == ("stream.failed", "stream.recovered")
    assert failed.sink_id == recovered.sink_id == "snk_00000000000000bb"
    assert failed.body["stream"]["name"] == "Gate" and failed.body["stream"]["code"] == "unauthorized"
    assert failed.body["stream"]["reason"] == "nothing accepts connections at the source"


def test_clip_is_cut_from_the_recordings_once_its_end_is_on_disk(api: RunningApi, watching: ClientConnection):
    add_sink(api)
    stream = api.add(record=True)["id"]
    add_rule(api, clip={"pre_s": 1, "post_s": 1}, sinks=[SINK], **QUICK)
    tell(api, now_action(stream, ago_s=5), now_action(stream, "ended", ago_s=3))
    assert next_incident(watching)["kind"] == "started"
    assert next_incident(watching)["kind"] == "ended"
    incident = found(api, 1, "state=ended")[0]
    assert (incident["clip_state"], incident["clip"]) == ("waiting", None)
    began = time.time() - 10
    source = record(api.settings.recordings_dir / stream, began, 9)
    segment = Segment(source.path, None, began, 0.0, 9.0, 90, 1000, (120, 160))
    api.call(api.context.store.add_recording(segment))
    ready = next_incident(watching)
    assert (ready["kind"], ready["n"]) == ("clip_ready", 3)
    shown = api.client.get(ready["clip"], headers={"Range": "bytes=0-99"})
    assert (shown.status_code, len(shown.content)) == (206, 100)
    path = api.context.alerts.media.path(f"{incident['id']}/clip.mp4")
    assert 3.9 <= times(path)[-1] <= 5.1
    last = outbox(api)[-1]
    assert (last.type, last.n) == ("incident.clip_ready", 3)
    assert api.client.get(last.body["links"]["clip"]).headers["content-type"] == "video/mp4"


def test_clip_of_a_stream_that_is_not_recorded_is_missing_with_the_reason(api: RunningApi):
    stream = api.add()["id"]
    add_rule(api, clip={}, **QUICK)
    tell(api, now_action(stream, ago_s=2), now_action(stream, "ended", ago_s=1))
    wait_for(lambda: found(api, 1)[0]["clip_state"] == "missing", 10, "its clip is missing")
    assert found(api, 1)[0]["clip_reason"] == "the stream is not recorded"


def test_old_incidents_go_with_their_files_but_kept_ones_stay(api: RunningApi):
    stream = api.add()["id"]
    add_rule(api, **QUICK)
    for number in range(2):
        event: dict[str, Any] = {"event_id": f"evt_{number}"}
        tell(api, now_action(stream, **event), now_action(stream, "ended", **event))
        found(api, number + 1, "state=ended")
    wait_for(lambda: all(each["snapshot"] for each in found(api, 2)), 5, "their pictures")
    kept, other = (each["id"] for each in found(api, 2))
    assert api.client.patch(f"/v1/incidents/{kept}", json={"kept": True}).json()["kept"] is True
    media = api.context.alerts.media
    assert api.call(media.retain(time.time())) == 0
    assert api.call(media.retain(time.time() + 31 * 86_400)) == 1
    assert [each["id"] for each in found(api, 1)] == [kept]
    assert media.path(f"{kept}/snapshot.jpg").exists() and not media.path(other).exists()
    assert media.measures()["counters"]["incidents_deleted_total"] == 1
    assert "actoscope_incidents_deleted_total 1.0" in api.client.get("/metrics").text


def test_dry_run_says_what_would_have_been_and_does_nothing(api: RunningApi):
    stream = api.add()["id"]
    for number in range(3):
        event: dict[str, Any] = {"event_id": f"evt_{number}", "track_id": number}
        tell(api, now_action(stream, ago_s=300 - 60 * number, **event))
        tell(api, now_action(stream, "ended", ago_s=290 - 60 * number, **event))
    span = {"since": rfc3339(time.time() - 270), "until": rfc3339(time.time())}
    body = {"rule": {"name": "x", "actions": {"push up": 0.5}, **QUICK}, **span}
    would = api.client.post("/v1/rules/dry-run", json=body).json()
    assert (len(would["incidents"]), would["messages"], would["more"]) == (2, 4, 0), "the first was before the span"
    assert all(each["ended_at"] and each["messages"] == 2 for each in would["incidents"])
    rule = add_rule(api, enabled=False, cooldown_s=3600)
    stored = api.client.post(f"/v1/rules/{rule['id']}/dry-run", json=span).json()
    assert len(stored["incidents"]) == 1
    assert api.client.get("/v1/incidents").json()["items"] == [] and outbox(api) == []
    long = {**span, "since": "2020-01-01T00:00:00Z"}
    assert "at most 7 days" in problem(api.client.post(f"/v1/rules/{rule['id']}/dry-run", json=long), 422)["detail"]


def test_start_goes_on_where_it_stopped_and_tells_what_was_missed(run_api: Any):
    api = run_api()
    stream = api.add()["id"]
    add_rule(api, **QUICK)
    tell(api, now_action(stream))
    (incident,) = found(api, 1)
    api.stop()
    again = run_api()  # the hub ends the action that nobody will end any more
    (ended,) = found(again, 1, "state=ended")
    assert ended["id"] == incident["id"]
    with connect(f"{again.ws_url}?since_seq=0") as socket:
        assert [next_incident(socket)["kind"] for _ in range(2)] == ["started", "ended"]


def test_absence_is_told_by_the_passing_of_time_alone(api: RunningApi):
    stream = api.add()["id"]
    add_rule(api, kind="absence", actions=None, for_s=1, **QUICK)
    seen = {**see(0, 0, stream), "captured_at": rfc3339(time.time())}
    tell(api, seen)
    (incident,) = found(api, 1)
    assert (incident["action"], incident["people"], incident["rule_kind"]) == (None, 0, "absence")


def test_long_incident_has_a_clip_of_its_first_minute(api: RunningApi):
    changes: list[Change] = []
    api.context.alerts.runner.on_change.append(changes.append)
    stream = api.add()["id"]
    add_rule(api, clip={"pre_s": 2, "post_s": 3}, **QUICK)
    tell(api, now_action(stream, ago_s=500), now_action(stream, "ended", ago_s=100))
    found(api, 1, "state=ended")
    record_ = api.call(api.context.alerts.incidents.get(changes[0].incident.id, Visible()))
    span = clip_span(record_)
    assert span.end - span.begin == pytest.approx(2 + MAX_CLIP_S + 3)
