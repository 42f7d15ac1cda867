"""Cameras whose clock goes wrong and cameras that are slow: what the API says, and what is recorded."""

from __future__ import annotations

import re
import shutil
import time

import pytest

from tests.support.places import REPOSITORY
from tests.support.service import Service, wait_for
from tests.support.ts_camera import TsCamera

STILL = REPOSITORY / "tests" / "data" / "still_0.9.mp4"  # seven people who stand, 0.9 pictures a second


@pytest.mark.exhaustive
def test_camera_whose_clock_is_five_times_too_slow_says_so_and_is_recorded_as_long_as_it_was(quick_service: Service):
    service = quick_service
    with TsCamera(0.2) as camera, service.subscribe() as subscriber:
        stream = service.add_stream(camera.url, record=True)
        service.wait_state(stream["id"], "running", 30)
        begin = time.monotonic()
        told = subscriber.wait("stream", 30, lambda m: m["stream_id"] == stream["id"] and m["code"] == "clock")
        assert told["reason"].startswith("media time follows the arrival of pictures: its time stamps pass 0.")
        shown = wait_for(lambda: (s := service.stream(stream["id"]))["clock"] == "arrival" and s, 5, "clock")
        assert shown["state"] == "running"
        assert 0.15 < float(shown["clock_reason"].removeprefix("its time stamps pass ").split()[0]) < 0.25
        time.sleep(max(0.0, begin + 12 - time.monotonic()))
        service.client.patch(f"/v1/streams/{stream['id']}", json={"enabled": False})
        lasted = time.monotonic() - begin
    query = {"stream": stream["id"]}
    recorded = wait_for(lambda: service.client.get("/v1/recordings", params=query).json()["items"], 10, "recordings")
    assert sum(item["duration_s"] for item in recorded) == pytest.approx(lasted, abs=2.5)


def test_slow_camera_keeps_its_people_and_says_why_they_have_no_labels(quick_service: Service):
    service, seen = quick_service, set()
    with service.subscribe() as subscriber:
        shutil.copy(STILL, service.folder)
        stream = service.add_stream(f"file://{service.folder / STILL.name}?pace=realtime")
        told = subscriber.wait("stream", 60, lambda m: m["stream_id"] == stream["id"] and m["code"] == "labels")
        assert re.fullmatch(r"camera too slow: 0\.9 of at least \d pictures a second", told["reason"])
        shown = wait_for(lambda: (s := service.stream(stream["id"]))["labels"] and s, 5, "labels")
        assert shown["labels"] == told["reason"]
        time.sleep(5)
        for message in subscriber.of_type("tracks", stream_id=stream["id"]):
            seen |= {track["track_id"] for track in message["tracks"]}
            filled = [track["buffer"] for track in message["tracks"]]
    assert 5 <= len(seen) <= 9, "seven people, and not twice as many"
    assert max(filled) > 1
