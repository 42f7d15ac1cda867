"""What a case tells of events and incidents: nothing of the past before it."""

from __future__ import annotations

from typing import Any

from service.exports.contents import told_event, told_incident
from service.storage.incidents import IncidentRecord
from service.storage.records import EventRecord
from service.wire_messages import rfc3339
from tests.service.exports.recorded import BEGIN


def event(started_at: float, ended_at: float | None) -> EventRecord:
    ends: dict[str, Any] = {"start_s": 500.0, "end_s": None if ended_at is None else 500.0 + ended_at - started_at}
    times: dict[str, Any] = {"started_at": started_at, "updated_at": started_at, "ended_at": ended_at}
    return EventRecord("evt_1", "str_a", 7, "squat", "ended", 0.5, 0.9, **ends, **times, model="m", zones=("gate",))


def test_event_within_the_case_is_told_as_it_was():
    told = told_event(event(BEGIN + 5, BEGIN + 7), None, BEGIN)
    assert (told["started_at"], told["ended_at"]) == (rfc3339(BEGIN + 5), rfc3339(BEGIN + 7))
    assert (told["start_s"], told["end_s"], told["began_before"], told["verdict"]) == (500.0, 502.0, False, None)


def test_event_that_went_on_already_begins_with_the_case():
    told = told_event(event(BEGIN - 5, None), None, BEGIN)
    assert (told["started_at"], told["updated_at"]) == (rfc3339(BEGIN), rfc3339(BEGIN))
    assert (told["start_s"], told["end_s"], told["began_before"]) == (505.0, None, True)


def test_incident_that_went_on_already_begins_with_the_case():
    said: dict[str, Any] = {"state": "ended", "tracks": (7,), "events": ("evt_1",), "confidence": 0.9, "model": None}
    about: dict[str, Any] = {"rule_id": "rul_1", "rule_name": "R", "stream_id": "str_a", "zone": None, "action": None}
    times: dict[str, Any] = {
        "started_at": BEGIN - 9,
        "updated_at": BEGIN - 8,
        "ended_at": BEGIN + 1,
        "start_s": 1.0,
        "end_s": 11.0,
    }
    told = told_incident(IncidentRecord(id="inc_1", **about, severity="alert", **said, **times), BEGIN)
    assert (told["started_at"], told["began_before"], told["tracks"]) == (rfc3339(BEGIN), True, [7])
