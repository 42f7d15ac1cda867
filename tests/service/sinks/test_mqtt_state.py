"""Messages of the hub → what the broker should hold."""

from dataclasses import replace

from service.sinks.mqtt_alerts import AlertState
from service.sinks.mqtt_state import MAX_ACTIONS, MAX_OPEN, LiveStream, live_streams, state_of
from tests.service.sinks.mqtt_examples import ID, STREAM, TOPICS, action, presence, stream


def payloads(live: LiveStream, of=STREAM) -> dict[str, bytes | None]:
    prefix = f"actoscope/gate/{ID}/"
    return {topic.removeprefix(prefix): wanted.payload for topic, wanted in state_of(TOPICS, of, live).items()}


def heard(*messages) -> LiveStream:
    live = LiveStream()
    for message in messages:
        live.hear(message)
    return live


def test_a_stream_that_was_not_heard_of_is_offline_and_claims_nothing():
    assert payloads(LiveStream()) == {
        "status": b"offline",
        "people": None,
        "snapshot": None,
        "zone/gate/people": None,
        "zone/north_wall/people": None,
        "action/fighting": b"OFF",
        "action/walking": b"OFF",
    }


def test_counts_follow_presence_and_a_zone_that_it_does_not_name_is_empty():
    seen = payloads(heard(stream("running"), presence(3, gate=2)))
    assert (seen["status"], seen["people"]) == (b"online", b"3")
    assert (seen["zone/gate/people"], seen["zone/north_wall/people"]) == (b"2", b"0")


def test_an_action_is_on_from_its_first_event_to_the_end_of_its_last():
    live = heard(action(event_id="evt_1"), action(event_id="evt_2"), action("ended", "evt_1"))
    assert payloads(live)["action/fighting"] == b"ON"
    live.hear(action("ended", "evt_2"))
    assert payloads(live)["action/fighting"] == b"OFF"


def test_a_stream_that_stops_shows_nobody():
    live = heard(stream("running"), presence(3, gate=2), stream("reconnecting"))
    assert payloads(live)["status"] == b"offline"
    assert payloads(live)["people"] == payloads(live)["zone/gate/people"] == b"0"


def test_a_stream_that_was_switched_off_is_disabled():
    assert payloads(heard(stream("stopped")), replace(STREAM, enabled=False))["status"] == b"disabled"


def test_alerts_are_shown_where_somebody_can_switch_them():
    live = LiveStream(alerts=AlertState(False, 1_777_000_000.9))
    assert payloads(live)["alerts/state"] == b"OFF"
    assert payloads(live)["alerts/suspended"] == b"1777000000"
    assert payloads(LiveStream(alerts=AlertState(True)))["alerts/suspended"] == b"0"


def test_actions_and_events_are_bounded():
    many = replace(STREAM, actions=tuple(f"label {n}" for n in range(400)))
    assert sum("action/" in topic for topic in payloads(LiveStream(), many)) == MAX_ACTIONS
    live = heard(*(action(event_id=f"evt_{n}") for n in range(MAX_OPEN + 5)))
    assert len(live.going) == MAX_OPEN and "evt_0" not in live.going


def test_a_beginning_has_what_goes_on_and_keeps_the_picture():
    before = {ID: LiveStream(people=4, snapshot=b"jpeg", going={"evt_0": "Walking"})}
    live = live_streams({ID: "running"}, [(ID, "evt_1", "Fighting"), ("str_gone", "evt_2", "x")], before)
    assert list(live) == [ID]
    assert live[ID].going == {"evt_1": "Fighting"} and live[ID].snapshot == b"jpeg"
    assert payloads(live[ID])["people"] is None


def test_messages_of_other_types_change_nothing():
    live = heard(stream("running"))
    live.hear({"type": "incident", "stream_id": ID})
    assert live == heard(stream("running"))
