"""Home Assistant's MQTT discovery: what makes a stream's device and entities appear there, and go again.

Written after https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. One device message a stream; for versions
before 2024.12 one message a component. A root key that Home Assistant does not know makes it refuse the whole device
(tests/data/home_assistant has the fields as a JSON schema).

An entity that is gone from a device message stays in Home Assistant until the message names it once more with nothing
but its platform. So every component that was ever sent is remembered as ``<topic>#<platform>/<key>`` in the table of
published topics (``#`` stands in no topic), and named so for as long as the stream exists.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.sinks.mqtt_state import Retained, WatchedStream
from service.sinks.mqtt_topics import HOME_ASSISTANT, Topics

Mode = Literal["device", "component", "off"]
Component = dict[str, Any]

MAX_GONE = 128  # components of a stream that are named as gone; the others' entities have to be deleted by hand
LONGEST_NAME = 120
_ONLINE = "{{ 'online' if value == 'online' else 'offline' }}"
_UNTIL = "{{ (value | int | as_datetime).isoformat() if value | int > 0 else 'None' }}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """How the service, of this ``version`` and ``url``, shows itself. ``commands``: whether alerts can be switched."""

    topics: Topics
    mode: Mode
    version: str
    alerts: bool = False
    commands: bool = False
    url: str | None = None

    def of_node(self) -> dict[str, Retained]:
        """→ retained topics that make the device that all streams belong to."""
        connection = _connection("Connection", self.topics.available)
        device = {"ids": [self.topics.device()], "name": f"Actoscope {self.topics.node}"}
        return self._messages(None, device, {"connection": connection}, [], ())

    def of_stream(self, stream: WatchedStream, published: Iterable[str]) -> dict[str, Retained]:
        """→ retained topics that make a stream's device. ``published``: rows of the table, see above."""
        device = {
            "ids": [self.topics.device(stream.id)],
            "name": _shown(stream.name),
            "mdl": stream.model,
            "via_device": self.topics.device(),
        }
        availability = [_available(self.topics.available), _available(self.topics.stream(stream.id, "status"))]
        return self._messages(stream, device, self._components(stream), availability, tuple(published))

    def _messages(
        self,
        stream: WatchedStream | None,
        device: Component,
        components: Mapping[str, Component],
        availability: list[Component],
        published: Collection[str],
    ) -> dict[str, Retained]:
        if self.mode == "off":
            return {}
        device = {**device, "mf": "Actoscope", "sw": self.version}
        origin = {"name": "Actoscope", "sw": self.version, **({"url": self.url} if self.url else {})}
        root: Component = {"dev": device, "o": origin}
        if availability:
            root |= {"availability": availability, "availability_mode": "all"}
        owner = self.topics.device(None if stream is None else stream.id)
        components = {key: {**component, "unique_id": f"{owner}_{key}"} for key, component in components.items()}
        order = 0 if stream is None else 1
        if self.mode == "device":
            return self._device(owner, root, components, published, order)
        object_id = owner if stream is None else f"actoscope_{stream.id}"
        return _single(object_id, root, components, order)

    def _device(
        self, owner: str, root: Component, components: Mapping[str, Component], published: Collection[str], order: int
    ) -> dict[str, Retained]:
        topic = f"{HOME_ASSISTANT}/device/{owner}/config"
        rows = tuple(f"{topic}#{component['p']}/{key}" for key, component in components.items())
        gone = sorted(row for row in published if row.startswith(f"{topic}#") and row not in rows)[:MAX_GONE]
        stubs = dict(_stub(row) for row in gone)
        payload = _json({**root, "cmps": {**stubs, **components}})
        return {topic: Retained(payload, order=order, rows=(*rows, *gone))}

    def _components(self, stream: WatchedStream) -> dict[str, Component]:
        def topic(*path: str) -> str:
            return self.topics.stream(stream.id, *path)

        always = [_available(self.topics.available)]  # a camera that is away is what this one tells of
        return {
            "connection": {**_connection("Connection", topic("status")), "availability": always},
            "people": _people("People", topic("people")),
            "snapshot": {
                "p": "image",
                "name": "Snapshot",
                "image_topic": topic("snapshot"),
                "content_type": "image/jpeg",
            },
            "event": _event(stream, topic("event")),
            **{
                f"zone_{slug}_people": _people(f"People in {_shown(zone)}", topic("zone", slug, "people"))
                for zone, slug in stream.zone_slugs.items()
            },
            **{
                f"action_{slug}": {"p": "binary_sensor", "name": _shown(action), "state_topic": topic("action", slug)}
                for action, slug in stream.action_slugs.items()
            },
            **{f"trigger_{slug}": _trigger(slug, topic("event")) for slug in stream.action_slugs.values()},
            **(self._alerts(stream, always) if self.alerts else {}),
        }

    def _alerts(self, stream: WatchedStream, always: list[Component]) -> dict[str, Component]:
        state = {
            "name": "Alerts",
            "state_topic": self.topics.stream(stream.id, "alerts", "state"),
            "availability": always,
        }
        suspended: Component = {
            "p": "sensor",
            "name": "Alerts suspended until",
            "device_class": "timestamp",
            "state_topic": self.topics.stream(stream.id, "alerts", "suspended"),
            "value_template": _UNTIL,
            "availability": always,
        }
        if not self.commands:  # a switch without a command topic is refused
            return {"alerts_state": {"p": "binary_sensor", **state}, "alerts_suspended": suspended}
        command = self.topics.stream(stream.id, "alerts", "set")
        switch = {"p": "switch", **state, "command_topic": command}
        return {"alerts": switch, "alerts_suspended": suspended}


def event_type(slug: str, moment: str) -> str:
    """→ ``fighting_started``; of incidents without an action ``incident_started``."""
    return f"{slug}_{moment}"


def _event(stream: WatchedStream, topic: str) -> Component:
    names = ("incident", *stream.action_slugs.values())
    types = [event_type(name, moment) for name in names for moment in ("started", "ended")]
    return {"p": "event", "name": "Incident", "state_topic": topic, "event_types": types}


def _trigger(slug: str, topic: str) -> Component:
    return {
        "p": "device_automation",
        "automation_type": "trigger",
        "type": "action_started",
        "subtype": slug,
        "topic": topic,
        "payload": event_type(slug, "started"),
        "value_template": "{{ value_json.event_type }}",
    }


def _people(name: str, topic: str) -> Component:
    return {
        "p": "sensor",
        "name": name,
        "state_topic": topic,
        "state_class": "measurement",
        "unit_of_measurement": "people",
        "icon": "mdi:account-group",
    }


def _connection(name: str, topic: str) -> Component:
    return {
        "p": "binary_sensor",
        "name": name,
        "state_topic": topic,
        "value_template": _ONLINE,
        "payload_on": "online",
        "payload_off": "offline",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
    }


def _available(topic: str) -> Component:
    """``disabled`` is not online either."""
    return {"topic": topic, "value_template": _ONLINE}


def _single(object_id: str, root: Component, components: Mapping[str, Component], order: int) -> dict[str, Retained]:
    messages = {}
    for key, component in components.items():
        topic = f"{HOME_ASSISTANT}/{component['p']}/{object_id}/{key}/config"
        rest = {name: value for name, value in component.items() if name != "p"}
        messages[topic] = Retained(_json({**root, **rest}), order=order)
    return messages


def _stub(row: str) -> tuple[str, Component]:
    """``…#binary_sensor/action_fighting`` → the component that says it is gone."""
    platform, _, key = row.partition("#")[2].partition("/")
    return key, {"p": platform}


def _shown(name: str) -> str:
    """A name of anybody's making, without what cannot be shown."""
    text = "".join(letter if letter.isprintable() else " " for letter in name).strip()
    return text[:LONGEST_NAME] or "unnamed"


def _json(value: Component) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
