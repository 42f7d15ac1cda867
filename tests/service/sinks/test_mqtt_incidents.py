"""Outbox messages → what is published of them."""

import json

from service.sinks.mqtt_incidents import told
from service.sinks.sender import OutboxMessage
from tests.service.sinks.mqtt_examples import ID, STREAM, TOPICS


def message(kind: str = "incident.started", **incident) -> OutboxMessage:
    about = {"id": "inc_1", "stream_id": ID, "action": "Fighting", "state": "started", **incident}
    data = {"incident": about, "links": {"snapshot": "/v1/incidents/inc_1/snapshot.jpg"}}
    return OutboxMessage(7, "snk_1", "inc_1", 0, kind, 1_777_000_000.0, data, ID)


def sent(out) -> dict[str, dict]:
    return {each.topic.removeprefix("actoscope/gate/"): json.loads(each.payload) for each in out}


def test_a_start_is_new_and_an_event():
    out = sent(told(TOPICS, message(), None, STREAM))
    assert out["incidents"]["type"] == "new" and out["incidents"]["before"] is None
    assert out["incidents"]["after"]["links"]["snapshot"].endswith("snapshot.jpg")
    event = out[f"{ID}/event"]
    assert (event["event_type"], event["incident_id"], event["id"]) == ("fighting_started", "inc_1", "msg_7")


def test_an_update_has_both_states_and_is_no_event():
    out = sent(told(TOPICS, message("incident.updated", confidence=0.9), message().data, STREAM))
    assert list(out) == ["incidents"] and out["incidents"]["type"] == "update"
    assert "confidence" not in out["incidents"]["before"] and out["incidents"]["after"]["confidence"] == 0.9


def test_an_end_is_an_event_too():
    out = sent(told(TOPICS, message("incident.ended"), message().data, STREAM))
    assert out["incidents"]["type"] == "end" and out[f"{ID}/event"]["event_type"] == "fighting_ended"


def test_an_incident_without_an_action_or_with_one_that_is_not_watched_is_an_incident():
    for action in (None, "Juggling"):
        out = sent(told(TOPICS, message(action=action), None, STREAM))
        assert out[f"{ID}/event"]["event_type"] == "incident_started"


def test_of_a_stream_that_is_gone_only_the_incident_is_told():
    assert list(sent(told(TOPICS, message("incident.ended"), None, None))) == ["incidents"]


def test_all_else_is_a_notice():
    ping = OutboxMessage(8, "snk_1", None, 0, "test.ping", 1_777_000_000.0, {"text": "hello"})
    assert sent(told(TOPICS, ping, None, None))["notices"] == {
        "type": "test.ping",
        "id": "msg_8",
        "timestamp": "2026-04-24T03:06:40.000Z",
        "data": {"text": "hello"},
    }
