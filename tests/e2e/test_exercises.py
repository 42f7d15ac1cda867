"""Exercises counted by the real service: a file with five pull-ups in, `repetition` messages out and replayed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NewService
from tests.support.places import SHARED
from tests.support.service import Service

POSE = SHARED / "weights" / "yolov8n-pose-int8_openvino_model"
PULL_UPS = SHARED / "data" / "workout" / "pull-ups" / "pull-up_14.mp4"
MARKED = 5  # repetitions by eye (benchmarks/repetition_marks.csv)
needs_shared = pytest.mark.skipif(
    not (POSE.is_dir() and PULL_UPS.is_file()), reason="../shared has no pose network or no workout videos"
)


@pytest.fixture(scope="module")
def gym(tmp_path_factory: pytest.TempPathFactory, quick: dict[str, str], new_service: NewService) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("gym")
    shutil.copyfile(PULL_UPS, folder / "pull-ups.mp4")
    with new_service(folder, pose_weights=str(POSE), **quick) as running:
        yield running


@pytest.mark.exhaustive
@needs_shared
def test_file_of_pull_ups_gives_repetition_messages_that_are_replayed_and_filtered(gym: Service):
    with gym.subscribe() as subscriber:
        form = {"pull-up": {"chin_over_bar": 0.05}}
        video: Path = gym.folder / "pull-ups.mp4"
        stream = gym.add_stream(video.as_uri(), exercise="pull-up", form=form)
        assert (stream["exercise"], stream["form"]) == ("pull-up", form)
        subscriber.wait("stream", 300, stream_id=stream["id"], code="ended")
        told = list(subscriber.of_type("repetition"))
    assert abs(len(told) - MARKED) <= 1, told
    assert [each["count"] for each in told if each["track_id"] == told[0]["track_id"]][:3] == [1, 2, 3]
    for each in told:
        assert (each["stream_id"], each["exercise"]) == (stream["id"], "pull-up")
        assert each["start_s"] < each["turn_s"] < each["end_s"]
        assert each["duration_s"] == pytest.approx(each["end_s"] - each["start_s"], abs=0.002)
        assert 20 < each["depth_deg"] < 105 and each["range_deg"] >= 35
        assert set(each["checks"]) == {"chin_below_bar"}
    shown = [track for message in subscriber.of_type("tracks") for track in message["tracks"]]
    assert {track["repetitions"]["exercise"] for track in shown if "repetitions" in track} == {"pull-up"}
    first = told[0]["seq"] - 1
    with gym.subscribe(f"?since_seq={first}&exercise=pull-up&stream={stream['id']}") as later:
        again = [later.wait("repetition", 20, seq=each["seq"]) for each in told]
    assert again == told
    with gym.subscribe(f"?since_seq={first}&exercise=squat") as other:
        other.wait("stream", 20, code="ended")
        assert not list(other.of_type("repetition"))
    assert "yolov8n-pose" in gym.client.get("/readyz").json()["inference"]["parts"]["poses"]
