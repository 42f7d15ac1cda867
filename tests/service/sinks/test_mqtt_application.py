"""A broker as somebody sets it up: by REST, in the whole application."""

import json
import time
from typing import Any

import pytest

from service.wire_messages import rfc3339
from tests.service.conftest import LABELS, action
from tests.support.mosquitto import Listener, Mosquitto, retained, wait_until

ROOT = "actoscope/hall"


def test_a_broker_is_added_tried_measured_and_removed(run_api, tmp_path):
    with Mosquitto(tmp_path) as broker:
        api = run_api(node="hall")
        stream = api.add(name="Yard")
        config = {"host": "127.0.0.1", "port": broker.port, "username": "anna", "password": "c4n4ry"}
        answer = api.client.post("/v1/sinks", json={"kind": "mqtt", "name": "Home", "config": config})
        assert answer.status_code == 201 and "c4n4ry" not in answer.text
        sink = answer.json()["id"]
        with Listener(broker.port) as home:
            tried = api.client.post(f"/v1/sinks/{sink}/test").json()
            assert tried["delivered"], tried
            wait_until(lambda: home.last(f"{ROOT}/notices"))
            wait_until(lambda: home.last(f"{ROOT}/{stream['id']}/status") == b"online")
        device = json.loads(retained(broker.port)[f"homeassistant/device/actoscope_hall_{stream['id']}/config"])
        assert device["dev"]["name"] == "Yard"
        sensors = {key for key, each in device["cmps"].items() if key.startswith("action_")}
        assert len(sensors) == len(LABELS)
        metrics = api.client.get("/metrics").text
        assert f'actoscope_mqtt_connected{{sink="{sink}"}} 1.0' in metrics
        assert "c4n4ry" not in metrics
        assert api.client.delete(f"/v1/streams/{stream['id']}").status_code == 204
        wait_until(lambda: not any(stream["id"] in topic for topic in retained(broker.port)))
        assert api.client.delete(f"/v1/sinks/{sink}").status_code == 204
        assert retained(broker.port) == {}


@pytest.mark.parametrize("wrong", [{"prefix": "a//b"}, {"node": "a/b"}, {"discovery": "yes"}, {"host": "a b"}, {}])
def test_a_config_that_cannot_be_is_refused(shared_api, wrong):
    config = {"host": "127.0.0.1", **wrong} if wrong else {}
    answer = shared_api.client.post("/v1/sinks", json={"kind": "mqtt", "name": "Home", "config": config})
    assert answer.status_code == 422, answer.text


class Hall:
    """The application with a broker that may command, and a rule for push ups of one stream that names the broker."""

    def __init__(self, api: Any, broker: Mosquitto) -> None:
        self.api = api
        self.stream = api.add(name="Yard")["id"]
        config = {"host": "127.0.0.1", "port": broker.port, "allow_commands": True}
        self.sink = self._made("/v1/sinks", {"kind": "mqtt", "name": "Home", "config": config})
        terms = {"actions": {"push up": 0.5}, "streams": [self.stream], "cooldown_s": 0, "group_s": 3600}
        self.rule = self._made("/v1/rules", {"name": "Push ups", "sinks": [self.sink], **terms})

    def _made(self, path: str, body: dict[str, Any]) -> str:
        answer = self.api.client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def act(self, event: str, kind: str = "started", track: int = 7) -> None:
        about = {"stream_id": self.stream, "track_id": track, "captured_at": rfc3339(time.time())}
        self.api.call(self.api.context.hub.publish_action(action(event, kind, **about)))

    def incidents(self) -> list[str]:
        """→ states, the newest first."""
        return [each["state"] for each in self.api.client.get("/v1/incidents").json()["items"]]


def told(home: Listener) -> list[str]:
    return [json.loads(payload)["type"] for payload in home.payloads(f"{ROOT}/incidents")]


def test_an_action_becomes_an_incident_at_the_broker_and_a_command_of_it_silences_the_engine(run_api, tmp_path):
    with Mosquitto(tmp_path) as broker, Listener(broker.port) as home:
        hall = Hall(run_api(node="hall", public_url="https://cameras.example"), broker)
        events, alerts = f"{ROOT}/{hall.stream}/event", f"{ROOT}/{hall.stream}/alerts"
        wait_until(lambda: home.last(f"{alerts}/state") == b"ON")
        hall.act("evt_1")
        wait_until(lambda: home.last(events))
        event = json.loads(home.last(events) or b"")
        assert (event["event_type"], event["rule_id"]) == ("push_up_started", hall.rule)
        (first,) = [json.loads(payload) for payload in home.payloads(f"{ROOT}/incidents")]
        assert (first["type"], first["before"], first["after"]["tracks"]) == ("new", None, [7])
        links = first["after"]["links"]
        assert links["snapshot"].startswith(f"https://cameras.example/v1/media/{event['incident_id']}/snapshot.jpg?")
        assert (links["incident"], links["clip"]) == (
            f"https://cameras.example/v1/incidents/{event['incident_id']}",
            None,
        )
        picture = hall.api.visitor().get(links["snapshot"].removeprefix("https://cameras.example"))
        assert picture.status_code == 200, "whoever has the link needs no log-in"
        device = json.loads(home.last(f"homeassistant/device/actoscope_hall_{hall.stream}/config") or b"")
        assert device["o"]["url"] == "https://cameras.example"
        wait_until(lambda: home.last(f"{ROOT}/{hall.stream}/action/push_up") == b"ON")

        home.publish(f"{alerts}/suspend", "30")
        wait_until(lambda: home.last(f"{alerts}/state") == b"OFF")
        wait_until(lambda: told(home) == ["new", "end"])  # at once, though push ups go on: nobody is told of them now
        hall.act("evt_2", track=8)
        time.sleep(1.5)
        assert hall.incidents() == ["ended"], "the engine knows of the command"
        audit = hall.api.client.get("/v1/audit").json()["items"]
        assert any(row["action"] == "rules:snooze" and row["detail"]["by"] == "mqtt" for row in audit), audit

        home.publish(f"{alerts}/set", "ON")
        wait_until(lambda: hall.incidents() == ["started", "ended"])
        wait_until(lambda: told(home) == ["new", "end", "new"])
        assert json.loads(home.payloads(f"{ROOT}/incidents")[-1])["after"]["people"] == 2


def test_incidents_of_a_broker_that_is_away_come_when_it_is_back_each_once_and_in_order(run_api, tmp_path):
    with Mosquitto(tmp_path) as broker:
        hall = Hall(run_api(node="hall"), broker)
        wait_until(lambda: f"{ROOT}/available" in retained(broker.port))
        broker.stop()
        hall.act("evt_1")
        wait_until(lambda: hall.incidents() == ["started"])
        answer = hall.api.client.patch(f"/v1/rules/{hall.rule}", json={"enabled": False})
        assert answer.status_code == 200, answer.text
        wait_until(lambda: hall.incidents() == ["ended"])
        broker.start()
        with Listener(broker.port) as home:
            wait_until(lambda: told(home) == ["new", "end"], 40)
            time.sleep(0.5)
            assert told(home) == ["new", "end"]
