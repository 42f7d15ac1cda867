"""Wire messages: the fields of the contract, in their units, and nothing heavy imported."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from pipeline.entities import (
    ActionEvent,
    ClipTally,
    EventKind,
    Frame,
    FrameResult,
    Repetition,
    Track,
    TrackLabel,
    TrackState,
    Zone,
)
from service.wire_messages import (
    parse_rfc3339,
    rfc3339,
    to_action_message,
    to_presence_message,
    to_repetition_message,
    to_tracks_message,
)

CLIPS = ClipTally(3, 2 / 3, (0.9, 0.12345, float("nan")))


def result(**changes) -> FrameResult:
    frame = Frame(np.zeros((100, 200, 3), np.uint8), 12, 1.23456, 1_777_000_000.1234, time.monotonic() - 0.25)
    tracks = (
        Track(3, np.array([-20, 10, 50, 120], np.float32), TrackState.CONFIRMED, 0.9),
        Track(4, np.array([100, 0, 200, 50], np.float32), TrackState.TENTATIVE, 0.5),
        Track(5, np.array([0, 0, 1, 1], np.float32), TrackState.DELETED, 0.5),
    )
    labels = {
        3: TrackLabel("squat", 0.876543, {"squat": 0.876543, "push up": 0.1}, 1.2, provisional=True, model="gym-light")
    }
    return FrameResult(frame, tracks, labels, {3: 41}, **changes)


def test_tracks_message_says_where_boxes_are_only_carried_on():
    assert to_tracks_message("str_1", result(detected=False), 64)["detected"] is False


def test_tracks_message_has_the_fields_of_the_contract():
    message = to_tracks_message("str_1", result(inside={4: ("gate",)}), 64)
    age_ms = message.pop("age_ms")
    assert 250 <= age_ms < 5000
    assert message == {
        "type": "tracks",
        "stream_id": "str_1",
        "frame_index": 12,
        "time_s": 1.235,
        "captured_at": "2026-04-24T03:06:40.123Z",
        "detected": True,
        "tracks": [
            {
                "track_id": 3,
                "box": [0.0, 0.1, 0.25, 1.0],
                "state": "confirmed",
                "buffer": 41,
                "buffer_size": 64,
                "action": "squat",
                "confidence": 0.8765,
                "scores": {"squat": 0.8765, "push up": 0.1},
                "provisional": True,
                "model": "gym-light",
                "zones": [],
            },
            {
                "track_id": 4,
                "box": [0.5, 0.0, 1.0, 0.5],
                "state": "tentative",
                "buffer": 0,
                "buffer_size": 64,
                "action": None,
                "confidence": None,
                "scores": {},
                "provisional": False,
                "model": None,
                "zones": ["gate"],
            },
        ],
    }
    json.dumps(message, allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "end_s", "shown"),
    [(EventKind.STARTED, None, None), (EventKind.UPDATED, None, None), (EventKind.ENDED, 9.87654, 9.877)],
)
def test_action_message_has_the_fields_of_the_contract(kind: EventKind, end_s, shown):
    event = ActionEvent("evt_1", 3, "squat", kind, 0.66666, 1.00049, end_s, 1_777_000_000.0, "gym", CLIPS, ("gate",))
    assert to_action_message("str_1", event) == {
        "type": "action",
        "event_id": "evt_1",
        "stream_id": "str_1",
        "track_id": 3,
        "action": "squat",
        "kind": kind.value,
        "confidence": 0.6667,
        "start_s": 1.0,
        "end_s": shown,
        "captured_at": "2026-04-24T03:06:40.000Z",
        "model": "gym",
        "zones": ["gate"],
        "clips": {"count": 3, "share": 0.6667, "recent": [0.9, 0.1235, None]},
    }


def test_repetition_message_has_the_fields_of_the_contract():
    done = Repetition(
        3, "squat", 2, 8.1004, 9.4, 10.6, 84.16, 88.94, {"not_low": False, "heels_up": None}, 1_777_000_000.0, ("rack",)
    )
    assert to_repetition_message("str_1", done) == {
        "type": "repetition",
        "stream_id": "str_1",
        "track_id": 3,
        "exercise": "squat",
        "count": 2,
        "start_s": 8.1,
        "turn_s": 9.4,
        "end_s": 10.6,
        "duration_s": 2.5,
        "depth_deg": 84.2,
        "range_deg": 88.9,
        "checks": {"not_low": False, "heels_up": None},
        "captured_at": "2026-04-24T03:06:40.000Z",
        "zones": ["rack"],
    }


def test_tracks_message_counts_repetitions_of_those_who_did_any():
    message = to_tracks_message("str_1", result(counted={3: ("squat", 2)}), 64)
    by_id = {track["track_id"]: track for track in message["tracks"]}
    assert by_id[3]["repetitions"] == {"exercise": "squat", "count": 2}
    assert "repetitions" not in by_id[4]


def test_presence_counts_confirmed_people_in_every_zone():
    zones = tuple(Zone(name, ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))) for name in ("gate", "yard"))
    assert to_presence_message("str_1", result(zones=zones, inside={3: ("gate",), 4: ("gate", "yard")})) == {
        "type": "presence",
        "stream_id": "str_1",
        "captured_at": "2026-04-24T03:06:40.123Z",
        "time_s": 1.235,
        "people": 1,
        "zones": {"gate": {"people": 1, "tracks": [3]}, "yard": {"people": 0, "tracks": []}},
    }


def test_score_that_is_no_number_is_null():
    event = ActionEvent("evt_1", 3, "squat", EventKind.STARTED, float("nan"), 1.0, None, 1_777_000_000.0)
    assert to_action_message("str_1", event)["confidence"] is None


@pytest.mark.parametrize("unix_s", [0.0, 1_777_000_000.123, 1_777_000_000.9996, 4_000_000_000.5])
def test_times_of_day_survive_the_wire_to_the_millisecond(unix_s: float):
    assert parse_rfc3339(rfc3339(unix_s)) == pytest.approx(unix_s, abs=0.00051)


def test_times_with_offsets_are_read_and_those_without_are_refused():
    assert parse_rfc3339("2026-04-24T05:06:40+02:00") == 1_777_000_000.0
    with pytest.raises(ValueError, match="offset"):
        parse_rfc3339("2026-04-24T05:06:40")


def test_stream_processes_get_no_web_or_database_library_with_it():
    code = (
        "import sys, service.wire_messages\n"
        "print(sorted({'fastapi', 'sqlalchemy', 'pydantic', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
