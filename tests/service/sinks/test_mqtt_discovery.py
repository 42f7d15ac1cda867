"""Discovery messages against Home Assistant's documented fields."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sinks.mqtt_discovery import Discovery
from service.sinks.mqtt_state import LiveStream, Retained, WatchedStream, state_of
from tests.service.sinks.mqtt_examples import ID, STREAM, TOPICS
from tests.service.sinks.test_mqtt_topics import NASTY
from tests.support.json_schema import problems

SCHEMA = json.loads((Path(__file__).parents[2] / "data/home_assistant/device_discovery.schema.json").read_text())
DEVICE = Discovery(TOPICS, "device", "1.2.3")
SWITCHED = replace(DEVICE, alerts=True, commands=True)
TOPIC = f"homeassistant/device/actoscope_gate_{ID}/config"


def content(retained: Retained) -> Any:
    assert retained.payload is not None
    return json.loads(retained.payload)


def message(discovery: Discovery, stream: WatchedStream = STREAM, published=()):
    (retained,) = discovery.of_stream(stream, published).values()
    return content(retained)


@pytest.mark.parametrize(
    "discovery", [DEVICE, SWITCHED, replace(DEVICE, alerts=True), replace(DEVICE, url="https://a")]
)
def test_a_device_message_is_one_that_home_assistant_takes(discovery):
    assert problems(message(discovery), SCHEMA) == []
    (node,) = discovery.of_node().values()
    assert problems(content(node), SCHEMA) == []


def test_the_schema_finds_what_home_assistant_refuses():
    good = message(SWITCHED)
    assert problems({**good, "unknown": 1}, SCHEMA)
    assert problems({name: value for name, value in good.items() if name != "o"}, SCHEMA)
    for key, gone in (("event", "event_types"), ("alerts", "command_topic"), ("people", "unique_id"), ("people", "p")):
        component = {name: value for name, value in good["cmps"][key].items() if name != gone}
        assert problems({**good, "cmps": {key: component}}, SCHEMA), (key, gone)
    assert problems({**good, "cmps": {"a/b": good["cmps"]["people"]}}, SCHEMA)


def test_a_stream_is_one_device_of_its_node_and_there_when_both_are():
    assert set(DEVICE.of_stream(STREAM, ())) == {TOPIC}
    sent = message(DEVICE)
    assert sent["dev"]["via_device"] == "actoscope_gate" and sent["dev"]["name"] == "Yard"
    assert sent["availability_mode"] == "all"
    assert [each["topic"] for each in sent["availability"]] == [TOPICS.available, f"actoscope/gate/{ID}/status"]
    (node,) = DEVICE.of_node().values()
    assert content(node)["dev"]["ids"] == ["actoscope_gate"]


def test_every_component_reads_a_topic_that_is_published():
    published = {*state_of(TOPICS, STREAM, LiveStream(alerts=None)), f"actoscope/gate/{ID}/event"}
    for key, component in message(DEVICE)["cmps"].items():
        assert (component.get("state_topic") or component.get("image_topic") or component["topic"]) in published, key


def test_an_action_has_a_sensor_events_and_a_trigger():
    cmps = message(DEVICE)["cmps"]
    assert cmps["action_fighting"]["name"] == "Fighting"
    assert {"fighting_started", "fighting_ended", "incident_started"} <= set(cmps["event"]["event_types"])
    trigger = cmps["trigger_fighting"]
    assert (trigger["type"], trigger["subtype"], trigger["payload"]) == (
        "action_started",
        "fighting",
        "fighting_started",
    )


def test_alerts_are_a_switch_only_where_commands_are_allowed():
    assert message(SWITCHED)["cmps"]["alerts"]["command_topic"] == f"actoscope/gate/{ID}/alerts/set"
    shown = message(replace(DEVICE, alerts=True))["cmps"]
    assert shown["alerts_state"]["p"] == "binary_sensor" and "alerts" not in shown
    assert "alerts_state" not in message(DEVICE)["cmps"]


def test_a_component_that_is_gone_is_named_with_its_platform_alone():
    (before,) = SWITCHED.of_stream(STREAM, ()).values()
    now = replace(STREAM, actions=("Walking",), zones=())
    (after,) = replace(SWITCHED, commands=False).of_stream(now, [*before.rows, "other#sensor/x"]).values()
    sent = content(after)
    assert problems(sent, SCHEMA) == []
    gone = {key: each["p"] for key, each in sent["cmps"].items() if set(each) == {"p"}}
    assert gone == {
        "action_fighting": "binary_sensor",
        "trigger_fighting": "device_automation",
        "zone_gate_people": "sensor",
        "zone_north_wall_people": "sensor",
        "alerts": "switch",
    }
    assert set(before.rows) <= set(after.rows), "it is named as long as the stream exists"


def test_older_versions_get_a_message_for_each_component():
    sent = replace(SWITCHED, mode="component").of_stream(STREAM, ())
    assert sent.keys() >= {
        f"homeassistant/binary_sensor/actoscope_{ID}/action_fighting/config",
        f"homeassistant/switch/actoscope_{ID}/alerts/config",
    }
    for topic, retained in sent.items():
        component = content(retained)
        root = {name: component.pop(name) for name in ("dev", "o", "availability_mode")}
        root["availability"] = component["availability"]
        whole = {**root, "cmps": {"x": {"p": topic.split("/")[1], **component}}}
        if whole["cmps"]["x"]["p"] == "device_automation":
            del whole["cmps"]["x"]["availability"]  # Home Assistant leaves it out there
        assert problems(whole, SCHEMA) == [], topic


def test_ids_are_the_same_in_both_modes_and_off_is_silent():
    single = replace(DEVICE, mode="component").of_stream(STREAM, ())
    ids = {content(each)["unique_id"] for each in single.values()}
    assert ids == {each["unique_id"] for each in message(DEVICE)["cmps"].values()}
    off = replace(DEVICE, mode="off")
    assert off.of_stream(STREAM, ()) == off.of_node() == {}


NAMES = st.lists(st.one_of(st.text(max_size=60), st.sampled_from(NASTY[:-1])), max_size=8, unique=True)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), NAMES, NAMES)
def test_no_name_breaks_a_message_or_a_topic(name, labels, zones):
    stream = WatchedStream(ID, name, "surveillance", tuple(labels), tuple(zones))
    sent = message(SWITCHED, stream)
    assert problems(sent, SCHEMA) == []
    for topic in state_of(TOPICS, stream, LiveStream()):
        assert topic.startswith(f"actoscope/gate/{ID}/") and topic.count("/") <= 5
        assert not set(topic) & set("+#\0 ") and topic.isascii()
