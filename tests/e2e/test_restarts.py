"""Crashes and restarts: the service comes back by itself, keeps what it promised to keep, and nothing else notices."""

import sqlite3

import av
import psutil
import pytest

from tests.support.media import write_video
from tests.support.service import SAMPLE_URL, Service, Subscriber, wait_for


def is_alive(process: psutil.Process) -> bool:
    """A zombie is dead: whoever adopted it has not looked yet."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def labelled(message: dict) -> bool:
    return any(track["action"] for track in message["tracks"])


def first_told(subscriber: Subscriber, stream_id: str, state: str) -> float:
    """→ when it was first heard that the stream is in this state, monotonic."""
    told = [(at, m) for at, m in subscriber.messages if m["type"] == "stream" and m["stream_id"] == stream_id]
    return next(at for at, message in told if message["state"] == state)


def test_killed_stream_process_comes_back_and_the_other_stream_does_not_notice(service: Service):
    first, second = service.add_stream(SAMPLE_URL)["id"], service.add_stream(SAMPLE_URL)["id"]
    service.wait_state(first, "running", 30)
    service.wait_state(second, "running", 30)
    before = {p.pid for p in service.children("stream_process")}
    with service.subscribe() as subscriber:
        subscriber.wait("tracks", 30, stream_id=first)
        victim = service.children("stream_process")[0]
        victim.kill()
        crashed = subscriber.wait("stream", 5, state="reconnecting")
        first, second = (first, second) if crashed["stream_id"] == first else (second, first)
        assert "signal 9" in crashed["reason"]
        subscriber.wait("stream", 5, stream_id=first, state="running")
        assert first_told(subscriber, first, "running") - first_told(subscriber, first, "reconnecting") <= 5, "T4"
        old = max(m["frame_index"] for m in subscriber.of_type("tracks", stream_id=second))
        subscriber.wait("tracks", 10, lambda m: m["frame_index"] > old + 10, stream_id=second)
        assert not list(subscriber.of_type("stream", stream_id=second, state="reconnecting"))
    assert service.stream(first)["restarts"] >= 1
    assert len({p.pid for p in service.children("stream_process")} - before) == 1


def test_track_ids_are_not_used_again_after_a_crash(service: Service):
    stream = service.add_stream(SAMPLE_URL)["id"]
    with service.subscribe() as subscriber:
        subscriber.wait("tracks", 60, lambda m: len(m["tracks"]) >= 2, stream_id=stream)
        wait_for(lambda: service.stream(stream)["fps_out"] > 0, 10, "a report of the stream")
        service.children("stream_process")[0].kill()
        subscriber.wait("stream", 10, stream_id=stream, state="reconnecting")
        before = {t["track_id"] for m in subscriber.of_type("tracks", stream_id=stream) for t in m["tracks"]}
        count = len(subscriber.messages)
        subscriber.wait("stream", 10, lambda m: m["seq"] > 0, stream_id=stream, state="running")

        def new_ids() -> set[int]:
            later = [m for _, m in subscriber.messages[count + 1 :] if m["type"] == "tracks"]
            return {t["track_id"] for m in later for t in m["tracks"]}

        wait_for(new_ids, 30, "tracks after the crash")
        assert min(new_ids()) > min(before)
        assert not new_ids() & before


def test_killed_inference_process_comes_back_and_labels_flow_again(quick_service: Service):
    service = quick_service
    service.add_stream(SAMPLE_URL)
    with service.subscribe() as subscriber:
        subscriber.wait("tracks", 90, labelled)
        inference = service.children("inference_process")[0]
        stream_pid = service.children("stream_process")[0].pid
        inference.kill()
        wait_for(lambda: service.client.get("/readyz").status_code == 503, 10, "not ready is said")
        wait_for(lambda: service.client.get("/readyz").status_code == 200, 60, "models are loaded again")
        count = len(subscriber.messages)

        def label_again() -> bool:
            return any(m["type"] == "tracks" and labelled(m) for _, m in subscriber.messages[count:])

        wait_for(label_again, 60, "labels after the crash")
        assert service.children("stream_process")[0].pid == stream_pid, "the stream's process was to live on"
        assert service.children("inference_process")[0].pid != inference.pid


def test_restarted_service_resumes_streams_and_replays_what_was_missed(own_service: Service):
    own_service.start()
    stream = own_service.add_stream(SAMPLE_URL, name="kept", record=True)
    own_service.wait_state(stream["id"], "running", 30)
    with own_service.subscribe() as subscriber:
        seq = subscriber.wait("hello", 5)["seq"]
    assert own_service.stop() == 0
    own_service.start()
    kept = own_service.stream(stream["id"])
    assert (kept["name"], kept["record"]) == ("kept", True)
    own_service.wait_state(stream["id"], "running", 30)
    with own_service.subscribe("?since_seq=0") as subscriber:
        replayed = subscriber.wait("stream", 10, stream_id=stream["id"], state="running")
        assert 0 < replayed["seq"] <= seq
        later = subscriber.wait("stream", 10, lambda m: m["seq"] > seq, stream_id=stream["id"], state="running")
        assert later["seq"] > seq
    recordings = own_service.client.get("/v1/recordings").json()["items"]
    assert recordings, "the recording was closed at the graceful end"


def test_killed_service_loses_no_finished_recording_and_leaves_no_process(own_service: Service):
    own_service.start()
    stream = own_service.add_stream(SAMPLE_URL, record=True)
    recorded = wait_for(
        lambda: own_service.client.get("/v1/recordings").json()["items"], 60, "a first finished segment"
    )
    children = [*own_service.children("stream_process"), *own_service.children("inference_process")]
    own_service.kill()
    wait_for(lambda: not any(map(is_alive, children)), 10, "children end with the service")
    own_service.start()
    items = {item["id"]: item for item in own_service.client.get("/v1/recordings").json()["items"]}
    assert {item["id"] for item in recorded} <= set(items)
    for item in items.values():
        video = own_service.client.get(f"/v1/recordings/{item['id']}/video.mp4")
        path = own_service.folder / "check.mp4"
        path.write_bytes(video.content)
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 0
    with sqlite3.connect(next((own_service.folder / "data").glob("*.db"))) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    own_service.wait_state(stream["id"], "running", 30)


@pytest.mark.exhaustive
def test_file_that_came_to_its_end_is_played_once_whatever_restarts(own_service: Service):
    video = write_video(own_service.folder / "short.mp4", frames=50)
    own_service.start()
    stream = own_service.add_stream(video.as_uri(), record=True)["id"]
    assert own_service.wait_state(stream, "stopped", 60)["code"] == "ended"
    own_service.stop()
    own_service.start(ready=False)
    shown = own_service.stream(stream)
    assert (shown["state"], shown["code"]) == ("stopped", "ended")
    assert own_service.children("stream_process") == []
    assert len(own_service.client.get("/v1/recordings").json()["items"]) == 1
    own_service.client.post(f"/v1/streams/{stream}/restart")
    assert len(wait_for(lambda: own_service.children("stream_process"), 10, "the stream's process")) == 1
