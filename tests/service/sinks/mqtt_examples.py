"""A stream and messages about it, for the tests of MQTT."""

from typing import Any

from service.sinks.mqtt_state import WatchedStream
from service.sinks.mqtt_topics import Topics

ID = "str_0000000000000001"
TOPICS = Topics("actoscope", "gate")
STREAM = WatchedStream(ID, "Yard", "surveillance", ("Fighting", "Walking"), ("gate", "north wall"))


def action(kind: str = "started", event_id: str = "evt_1", label: str = "Fighting") -> dict[str, Any]:
    return {"type": "action", "stream_id": ID, "event_id": event_id, "action": label, "kind": kind}


def presence(people: int, **zones: int) -> dict[str, Any]:
    counts = {name: {"people": count, "tracks": []} for name, count in zones.items()}
    return {"type": "presence", "stream_id": ID, "people": people, "zones": counts}


def stream(state: str) -> dict[str, Any]:
    return {"type": "stream", "stream_id": ID, "state": state, "code": None, "reason": ""}
