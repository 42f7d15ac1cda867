"""/v1/streams: add, list, change, remove, pictures."""

import asyncio
import json
import re
import time
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from pipeline.form.exercises import Exercise
from service.bodies import StreamCreate
from service.processes.setups import form_config
from service.rights import ALL
from service.storage.records import StreamRecord
from service.stream_state import StreamState
from service.supervisor_protocol import StreamStatus
from service.wire_messages import to_stream_message
from tests.service.conftest import MODEL, URL, RunningApi, write_model


def problem(answer: httpx.Response, status: int) -> dict:
    """Checks that an answer is a problem of this status, and → its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"] and body["detail"]
    return body


def file_url(api: RunningApi) -> str:
    return (api.settings.media_roots[0] / "walk.mp4").as_uri()


def come_to_its_end(api: RunningApi, stream_id: str) -> None:
    """What the supervisor does when a file was read to its end; returns when that is remembered."""
    code, reason = "ended", "the file was read to its end"
    api.supervisor.statuses[stream_id] = StreamStatus(StreamState.STOPPED, code, reason, since=1_777_000_000.5)
    api.call(api.context.hub.publish_stream(to_stream_message(stream_id, "stopped", code, reason)))
    deadline = time.monotonic() + 5
    while api.call(api.context.store.get_stream(stream_id, ALL)).finished_at is None:
        assert time.monotonic() < deadline, "the end is not remembered"


def test_stream_added_is_started_and_shown_without_its_password(shared_api: RunningApi):
    answer = shared_api.client.post("/v1/streams", json={"url": URL, "name": "Gate", "actions": {"squat": 0.6}})
    stream = answer.json()
    assert answer.status_code == 201
    assert re.fullmatch("str_[0-9a-f]{16}", stream["id"])
    assert answer.headers["location"] == f"/v1/streams/{stream['id']}"
    assert stream["url"] == "rtsp://viewer:***@127.0.0.1:9/cam"
    assert (stream["name"], stream["actions"], stream["model"]) == ("Gate", {"squat": 0.6}, MODEL)
    assert stream["state"] == "running"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stream["created_at"])
    assert shared_api.supervisor.running[stream["id"]].url.get_secret_value() == URL
    assert shared_api.client.get(f"/v1/streams/{stream['id']}").json() == stream
    assert shared_api.client.get("/v1/streams").json() == {"items": [stream], "next_cursor": None}


@pytest.mark.parametrize("name", [" Gate ", "7", "门", "🏋", "…", "\u0928\u092e", "-"])
def test_name_with_anything_to_be_seen_is_taken(shared_api: RunningApi, name: str):
    assert shared_api.add(name=name)["name"] == name


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://10.9.8.7/snap.cgi?loginuse=u&loginpas=c4n4ry", "http://10.9.8.7/snap.cgi?loginuse=u&loginpas=***"),
        ("rtsp://10.9.8.7/user=u_psw=c4n4ry_channel=1.sdp", "rtsp://10.9.8.7/user=u_psw=***"),
        ("rtsp://10.9.8.7/0/admin:c4n4ry/main", "rtsp://10.9.8.7/0/admin:***"),
        ("http://10.9.8.7/v?channel=1&authbasic=c4n4ry", "http://10.9.8.7/v?channel=1&authbasic=***"),
    ],
)
def test_password_in_any_place_of_a_url_is_neither_answered_nor_stored(shared_api: RunningApi, url: str, shown: str):
    stream = shared_api.add(url, name="Gate")
    unnamed = shared_api.add(url)
    moved = shared_api.client.patch(f"/v1/streams/{shared_api.add(name='Door')['id']}", json={"url": url})
    assert stream["url"] == unnamed["url"] == moved.json()["url"] == shown
    assert shared_api.supervisor.running[stream["id"]].url.get_secret_value() == url
    answers = [str(unnamed), moved.text, shared_api.client.get("/v1/streams").text]
    stored = b"".join(path.read_bytes() for path in shared_api.settings.data_dir.glob("*.db*"))
    assert "c4n4ry" not in "".join(answers) and b"c4n4ry" not in stored


def test_name_that_an_older_version_took_from_a_password_is_given_up(run_api):
    first = run_api()
    stream, other = first.add("rtsp://10.9.8.7/user=u_psw=c4n4ry"), first.add("rtsp://10.9.8.7/ch1", name="Hall ch1")
    record = first.call(first.context.store.get_stream(stream["id"], ALL))
    first.call(first.context.store.change_stream(replace(record, name="10.9.8.7 user=u_psw=c4n4ry")))
    first.stop()
    second = run_api()
    names = [item["name"] for item in second.client.get("/v1/streams").json()["items"]]
    assert names == ["10.9.8.7", other["name"]]
    second.stop()
    assert b"c4n4ry" not in b"".join(path.read_bytes() for path in second.settings.data_dir.glob("*.db*"))


def test_stream_of_a_file_takes_name_pace_and_loop_from_its_url(shared_api: RunningApi):
    url = (shared_api.settings.media_roots[0] / "walk.mp4").as_uri() + "?pace=realtime&loop=true"
    stream = shared_api.add(url)
    assert (stream["name"], stream["pace"], stream["loop"]) == ("walk.mp4", "realtime", True)
    watched = shared_api.supervisor.running[stream["id"]]
    assert (watched.url.get_secret_value(), watched.pace, watched.loop) == (url.partition("?")[0], "realtime", True)


def test_interval_of_snapshots_is_kept_shown_and_changed(shared_api: RunningApi):
    stream = shared_api.add("http://127.0.0.1:9/snapshot.jpg", snapshot_s=0.5)
    assert (stream["snapshot_s"], shared_api.supervisor.running[stream["id"]].snapshot_s) == (0.5, 0.5)
    changed = shared_api.client.patch(f"/v1/streams/{stream['id']}", json={"snapshot_s": 2}).json()
    assert (changed["snapshot_s"], shared_api.supervisor.running[stream["id"]].snapshot_s) == (2.0, 2.0)
    assert shared_api.add("http://127.0.0.1:9/other.jpg")["snapshot_s"] == 1.0
    problem(shared_api.client.patch(f"/v1/streams/{stream['id']}", json={"snapshot_s": 0}), 422)


def test_certificates_are_verified_unless_a_stream_says_otherwise(shared_api: RunningApi):
    stream = shared_api.add("rtsps://127.0.0.1:9/cam")
    assert (stream["tls_verify"], shared_api.supervisor.running[stream["id"]].tls_verify) == (True, True)
    changed = shared_api.client.patch(f"/v1/streams/{stream['id']}", json={"tls_verify": False}).json()
    assert (changed["tls_verify"], shared_api.supervisor.running[stream["id"]].tls_verify) == (False, False)
    assert shared_api.client.get(f"/v1/streams/{stream['id']}").json()["tls_verify"] is False, "remembered"
    problem(shared_api.client.patch(f"/v1/streams/{stream['id']}", json={"tls_verify": None}), 422)
    assert shared_api.add("rtsps://127.0.0.1:9/cam", tls_verify=False)["tls_verify"] is False


def test_pace_and_loop_of_a_file_url_can_be_changed(shared_api: RunningApi):
    stream = shared_api.add(file_url(shared_api) + "?pace=realtime&loop=true")
    path = f"/v1/streams/{stream['id']}"
    changed = shared_api.client.patch(path, json={"loop": False, "pace": "fast"}).json()
    assert (changed["pace"], changed["loop"]) == ("fast", False)
    assert shared_api.supervisor.running[stream["id"]].url.get_secret_value() == file_url(shared_api)
    again = shared_api.client.patch(path, json={"url": file_url(shared_api) + "?loop=1"}).json()
    assert (again["pace"], again["loop"]) == ("fast", True)
    assert shared_api.supervisor.running[stream["id"]].url.get_secret_value() == file_url(shared_api)


def test_options_in_a_url_that_an_older_version_stored_yield_to_a_change(shared_api: RunningApi):
    stream = shared_api.add(file_url(shared_api))
    record = shared_api.call(shared_api.context.store.get_stream(stream["id"], ALL))
    old = replace(record, url=SecretStr(file_url(shared_api) + "?loop=true"), loop=True)
    assert shared_api.call(shared_api.context.store.change_stream(old))
    assert shared_api.client.patch(f"/v1/streams/{stream['id']}", json={"loop": False}).json()["loop"] is False
    assert shared_api.supervisor.running[stream["id"]].url.get_secret_value() == file_url(shared_api)


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ({}, "url", "a value"),
        ({"url": 5}, "url", "string"),
        ({"url": "gopher://viewer:c4n4ry@host/x"}, "url", "rtsp"),
        ({"url": "rtsp:/viewer:c4n4ry@host"}, "url", "host name"),
        ({"url": "file:///etc/passwd"}, "url", "media folder"),
        ({"url": URL, "nmae": "Gate"}, "nmae", "known fields"),
        ({"url": URL, "model": "slowfats"}, "model", MODEL),
        ({"url": URL, "actions": {"push-up": 0.5}}, "actions.push-up", "'push up'"),
        ({"url": URL, "actions": {"Squat": 0.5}}, "actions.Squat", "'squat'"),
        ({"url": URL, "actions": {"squat": 1.5}}, "actions.squat", "less than or equal to 1"),
        ({"url": URL, "actions": {}}, "actions", "at least one label"),
        ({"url": URL, "transport": "quic"}, "transport", "'tcp' or 'udp'"),
        ({"url": URL, "name": "a\x00b"}, "name", "pattern"),
        ({"url": URL, "name": " "}, "name", "can be seen"),
        ({"url": URL, "name": "\u00a0\u3000"}, "name", "can be seen"),
        ({"url": URL, "name": "\u200b\u2060\ufeff\u202e"}, "name", "can be seen"),
        ({"url": URL, "name": "\u2800\u3164"}, "name", "can be seen"),
        ({"url": URL, "model": "   "}, "model", "can be seen"),
    ],
)
def test_stream_that_cannot_be_watched_is_refused_naming_the_field(shared_api: RunningApi, body, field, expected):
    answer = shared_api.client.post("/v1/streams", json=body)
    error = problem(answer, 422)["errors"][0]
    assert error["field"] == field
    assert expected in error["expected"]
    assert error["got"]
    assert "c4n4ry" not in answer.text
    assert shared_api.client.get("/v1/streams").json()["items"] == []


@pytest.mark.parametrize(
    "content",
    [
        b'{"url": "rtsp://viewer:c4n4ry@host/',
        b'["rtsp://viewer:c4n4ry@host/"]',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"url": "\\ud800"}',
        b'{"url": "' + b"a" * 60_000 + b'"}',
        b'{"url": "rtsp://h/", "name": NaN}',
        b'{"url": "rtsp://h/", "actions": {"squat": Infinity}}',
    ],
)
def test_body_that_is_no_stream_is_a_client_error(shared_api: RunningApi, content: bytes):
    answer = shared_api.client.post("/v1/streams", content=content, headers={"content-type": "application/json"})
    problem(answer, answer.status_code)
    assert answer.status_code in (400, 422)
    assert "c4n4ry" not in answer.text


def test_body_over_the_limit_is_refused_with_and_without_a_length(shared_api: RunningApi):
    big = b'{"url": "' + b"a" * 100_000 + b'"}'
    headers = {"content-type": "application/json"}
    problem(shared_api.client.post("/v1/streams", content=big, headers=headers), 413)
    problem(shared_api.client.post("/v1/streams", content=iter([big[:50_000], big[50_000:]]), headers=headers), 413)


def test_more_streams_than_the_limit_is_a_conflict(shared_api: RunningApi):
    for _ in range(shared_api.settings.max_streams):
        shared_api.add()
    body = problem(shared_api.client.post("/v1/streams", json={"url": URL}), 409)
    assert "4 streams" in body["detail"]


def post_at_once(api: RunningApi, count: int) -> list[httpx.Response]:
    """``count`` requests that are all on their way before the first is answered."""

    async def post_all() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False, limits=limits) as client:
            bodies = [{"url": f"rtsp://viewer:c4n4ry@127.0.0.1:9/cam{n}", "name": f"cam {n}"} for n in range(count)]
            return await asyncio.gather(*(client.post("/v1/streams", json=body) for body in bodies))

    return asyncio.run(post_all())


def test_64_streams_posted_at_once_are_64_streams(run_api):
    api = run_api(max_streams=64)
    answers = post_at_once(api, 64)
    assert [answer.status_code for answer in answers] == [201] * 64
    added = {answer.json()["id"]: answer.json()["name"] for answer in answers}
    listed = {item["id"]: item["name"] for item in api.client.get("/v1/streams?limit=200").json()["items"]}
    assert len(added) == 64 and listed == added
    assert set(api.supervisor.running) == set(added)
    for stream_id, name in added.items():
        watched = api.supervisor.running[stream_id]
        assert watched.name == name and watched.url.get_secret_value().endswith("/cam" + name[4:])


def test_of_64_streams_posted_at_once_no_more_are_taken_than_may_be(run_api):
    api = run_api(max_streams=10)
    answers = post_at_once(api, 64)
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 54
    assert len(api.client.get("/v1/streams").json()["items"]) == len(api.supervisor.running) == 10


def test_stream_change_from_a_foreign_page_is_refused(shared_api: RunningApi):
    foreign = {"origin": "https://evil.example"}
    problem(shared_api.client.post("/v1/streams", json={"url": URL}, headers=foreign), 403)
    own = {"origin": shared_api.url}
    assert shared_api.client.post("/v1/streams", json={"url": URL}, headers=own).status_code == 201


def test_patch_changes_only_what_is_given(shared_api: RunningApi):
    stream = shared_api.add(name="Gate", actions={"squat": 0.6})
    path = f"/v1/streams/{stream['id']}"
    changed = shared_api.client.patch(path, json={"record": True}).json()
    assert changed == {**stream, "record": True}
    assert shared_api.supervisor.running[stream["id"]].record
    assert shared_api.client.patch(path, json={"actions": None}).json()["actions"] is None
    moved = shared_api.client.patch(path, json={"url": "rtsp://viewer:n3w@127.0.0.1:9/other"}).json()
    assert moved["url"] == "rtsp://viewer:***@127.0.0.1:9/other"
    assert shared_api.supervisor.running[stream["id"]].url.get_secret_value().endswith("/other")


def test_patch_of_the_name_alone_disturbs_nothing(shared_api: RunningApi):
    stream = shared_api.add()
    shared_api.supervisor.calls.clear()
    assert shared_api.client.patch(f"/v1/streams/{stream['id']}", json={"name": "Door"}).json()["name"] == "Door"
    assert shared_api.supervisor.calls == []


def test_patch_enabled_stops_and_starts_the_stream(shared_api: RunningApi):
    stream = shared_api.add()
    path = f"/v1/streams/{stream['id']}"
    assert shared_api.client.patch(path, json={"enabled": False}).json()["state"] == "stopped"
    assert shared_api.client.patch(path, json={"enabled": True}).json()["state"] == "running"
    assert [name for name, _ in shared_api.supervisor.calls] == ["start", "stop", "start"]


@pytest.mark.parametrize(
    "body", [{"name": None}, {"name": "  "}, {"enabled": "maybe"}, {"model": "x"}, {"url": "x"}, {"id": "x"}, []]
)
def test_patch_that_cannot_be_changes_nothing(shared_api: RunningApi, body):
    stream = shared_api.add()
    problem(shared_api.client.patch(f"/v1/streams/{stream['id']}", json=body), 422)
    assert shared_api.client.get(f"/v1/streams/{stream['id']}").json() == stream


def test_restart_starts_a_running_stream_anew_and_a_stopped_one_again(shared_api: RunningApi):
    stream = shared_api.add()
    path = f"/v1/streams/{stream['id']}"
    assert shared_api.client.post(f"{path}/restart").status_code == 202
    assert shared_api.supervisor.calls[-1] == ("restart", stream["id"])
    shared_api.client.patch(path, json={"enabled": False})
    assert shared_api.client.post(f"{path}/restart").json()["enabled"] is True
    assert shared_api.supervisor.calls[-1] == ("start", stream["id"])


def test_delete_stops_and_forgets_the_stream(shared_api: RunningApi):
    stream = shared_api.add()
    path = f"/v1/streams/{stream['id']}"
    answer = shared_api.client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert shared_api.supervisor.running == {}
    for method, tail in [("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/restart"), ("GET", "/snapshot.jpg")]:
        problem(shared_api.client.request(method, path + tail, json={} if method == "PATCH" else None), 404)


def test_delete_answers_within_5_s_of_a_stream_that_hangs(run_api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.registry.STOP_S", 0.2)
    api = run_api()
    stream = api.add()
    api.supervisor.stop_takes_s = 3600
    assert api.client.delete(f"/v1/streams/{stream['id']}").status_code == 204
    problem(api.client.get(f"/v1/streams/{stream['id']}"), 404)
    api.stop()  # which waits no longer than this either


def test_delete_answers_when_stopping_fails(api: RunningApi):
    stream = api.add()
    api.supervisor.stop_fails = True
    assert api.client.delete(f"/v1/streams/{stream['id']}").status_code == 204


def test_streams_are_paged_in_the_order_of_their_making(shared_api: RunningApi):
    ids = [shared_api.add(name=f"cam {n}")["id"] for n in range(3)]
    first = shared_api.client.get("/v1/streams", params={"limit": 2}).json()
    second = shared_api.client.get("/v1/streams", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [stream["id"] for stream in first["items"] + second["items"]] == ids
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=W05hTiwgIiJd", "limit=0", "limit=9999999", "limt=5", "cursor=%00"]
)
def test_bad_paging_is_refused(shared_api: RunningApi, query: str):
    problem(shared_api.client.get(f"/v1/streams?{query}"), 422)


def test_streams_go_on_after_a_restart_of_the_service(run_api):
    first = run_api()
    running, stopped = first.add(name="kept", record=True, actions={"squat": 0.7}), first.add()
    first.client.patch(f"/v1/streams/{stopped['id']}", json={"enabled": False})
    first.stop()
    second = run_api()
    assert second.supervisor.calls == [("start", running["id"])]
    assert second.supervisor.running[running["id"]].url.get_secret_value() == URL
    assert second.client.get(f"/v1/streams/{running['id']}").json() == running
    assert second.client.get(f"/v1/streams/{stopped['id']}").json()["enabled"] is False


def test_lost_key_is_said_and_healed_by_giving_the_url_again(run_api):
    first = run_api()
    stream = first.add()
    first.stop()
    (first.settings.data_dir / "secret.key").unlink()
    second = run_api()
    path = f"/v1/streams/{stream['id']}"
    shown = second.client.get(path).json()
    assert (shown["state"], shown["code"]) == ("failed", "key_lost")
    assert second.client.patch(path, json={"url": URL}).json()["state"] == "running"
    assert second.supervisor.running[stream["id"]].url.get_secret_value() == URL


def test_lost_key_destroys_no_stored_url(run_api):
    first = run_api()
    stream = first.add()
    first.stop()
    key = first.settings.data_dir / "secret.key"
    right = key.read_bytes()
    key.unlink()
    second = run_api()
    path = f"/v1/streams/{stream['id']}"
    for answer in (
        second.client.post(f"{path}/restart"),
        second.client.patch(path, json={"name": "Door"}),
        second.client.patch(path, json={"enabled": False}),
    ):
        assert "cannot be decrypted" in problem(answer, 409)["detail"]
    assert second.supervisor.calls == []
    second.stop()
    key.write_bytes(right)
    third = run_api()
    assert third.supervisor.running[stream["id"]].url.get_secret_value() == URL


def test_file_that_came_to_its_end_is_not_played_again_by_a_start_of_the_service(run_api):
    first = run_api()
    stream = first.add(file_url(first))
    come_to_its_end(first, stream["id"])
    first.stop()
    second = run_api()
    path = f"/v1/streams/{stream['id']}"
    assert second.supervisor.calls == []
    shown = second.client.get(path).json()
    assert (shown["state"], shown["code"], shown["enabled"]) == ("stopped", "ended", True)
    assert shown["since"] == "2026-04-24T03:06:40.500Z"
    assert second.client.patch(path, json={"name": "Seen"}).json()["code"] == "ended"
    assert second.client.post(f"{path}/restart").json()["state"] == "running"
    assert second.supervisor.calls == [("start", stream["id"])]
    second.stop()
    assert run_api().supervisor.calls == [("start", stream["id"])]  # it had not come to its end again


def test_change_plays_a_finished_file_anew(api: RunningApi):
    stream = api.add(file_url(api))
    come_to_its_end(api, stream["id"])
    api.client.patch(f"/v1/streams/{stream['id']}", json={"record": True})
    assert api.supervisor.calls[-1] == ("update", stream["id"])
    assert api.call(api.context.store.get_stream(stream["id"], ALL)).finished_at is None


def test_stream_deleted_while_it_is_started_does_not_go_on_running(api: RunningApi, monkeypatch: pytest.MonkeyPatch):
    registry, supervisor, start = api.context.registry, api.supervisor, api.supervisor.start

    async def add_and_delete() -> None:
        reached = asyncio.Event()

        async def slow_start(record: StreamRecord) -> None:
            reached.set()
            await asyncio.sleep(0.05)  # time for a DELETE that does not wait for the start
            await start(record)

        monkeypatch.setattr(supervisor, "start", slow_start)
        adding = asyncio.create_task(registry.add(StreamCreate(url=URL)))
        await reached.wait()
        (record,) = await api.context.store.all_streams(ALL)
        await registry.remove(record.id)
        await adding

    api.call(add_and_delete())
    assert [name for name, _ in supervisor.calls] == ["start", "stop"]
    assert supervisor.running == {}


def test_ids_that_do_not_exist_leave_no_locks_behind(api: RunningApi):
    stream = api.add()
    for n in range(20):
        api.client.post(f"/v1/streams/str_{n:016x}/restart")
        api.client.patch(f"/v1/streams/str_{n:016x}", json={"name": "x"})
    api.client.delete(f"/v1/streams/{stream['id']}")
    assert len(api.context.registry._locks) == 0


def test_stream_shows_all_that_the_supervisor_knows(api: RunningApi):
    stream = api.add()
    api.supervisor.statuses[stream["id"]] = StreamStatus(
        state=StreamState.RUNNING,
        code=None,
        reason="",
        since=1_777_000_000.5,
        fps_in=24.987,
        fps_out=24.5,
        drops={"source": 3},
        detection_stride=2,
        label_age_ms=740,
        hop_effective=16.4,
        tracks=4,
        restarts=1,
        size_hw=(720, 1280),
        recording="paused",
        tier_running="light",
        tier_reason="1 cameras, 4 people: 1.3 of 1.6 free cores",
        clip_hop_s=1.0,
        detector_image_size=480,
        clock="arrival",
        clock_reason="its time stamps pass 0.2 s in a second",
        labels="camera too slow: 0.5 of at least 2 pictures a second",
        poses_hz=6.0,
        no_poses="no room",
    )
    shown = api.client.get(f"/v1/streams/{stream['id']}").json()
    assert shown["since"] == "2026-04-24T03:06:40.500Z"
    assert (shown["fps_in"], shown["drops"], shown["size"]) == (24.99, {"source": 3}, {"width": 1280, "height": 720})
    assert (shown["label_age_ms"], shown["detection_stride"], shown["recording"]) == (740, 2, "paused")
    assert (shown["tier_running"], shown["clip_hop_s"], shown["detector_image_size"]) == ("light", 1.0, 480)
    assert shown["tier_reason"] == "1 cameras, 4 people: 1.3 of 1.6 free cores"
    assert (shown["clock"], shown["clock_reason"]) == ("arrival", "its time stamps pass 0.2 s in a second")
    assert shown["labels"] == "camera too slow: 0.5 of at least 2 pictures a second"
    assert (shown["poses_hz"], shown["no_poses"]) == (6.0, "no room")


def test_snapshot_is_a_jpeg_or_a_problem_that_says_why(api: RunningApi):
    path = f"/v1/streams/{api.add()['id']}/snapshot.jpg"
    answer = api.client.get(path)
    assert (answer.headers["content-type"], answer.content) == ("image/jpeg", api.supervisor.pictures[0])
    api.supervisor.pictures = []
    assert "connecting" in problem(api.client.get(path), 503)["detail"]


def test_live_is_a_multipart_of_jpegs(api: RunningApi):
    stream = api.add()
    api.supervisor.pictures = [b"one", b"two", b"three"]
    answer = api.client.get(f"/v1/streams/{stream['id']}/live.mjpeg")
    media_type, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert media_type == "multipart/x-mixed-replace"
    parts = answer.content.split(f"--{boundary}\r\n".encode())[1:]
    assert [part.partition(b"\r\n\r\n")[2] for part in parts] == [b"one\r\n", b"two\r\n", b"three\r\n"]


@pytest.mark.parametrize("name", ["x", "str_", "str_000000000000000g", "%00", "..%2f", "str_0000000000000000"])
def test_unknown_id_is_not_found(shared_api: RunningApi, name: str):
    problem(shared_api.client.get(f"/v1/streams/{name}"), 404)


def with_lighter_network(api: RunningApi) -> None:
    weights = api.settings.weights_dir
    write_model(weights / "light")
    card = json.loads((weights / MODEL / "card.json").read_text())
    (weights / MODEL / "card.json").write_text(json.dumps({**card, "light": "light"}))


def test_stream_may_pin_a_tier_and_change_its_mind(api: RunningApi):
    with_lighter_network(api)
    stream = api.add(tier="light")
    assert stream["tier"] == "light"
    assert api.supervisor.running[stream["id"]].tier == "light"
    changed = api.client.patch(f"/v1/streams/{stream['id']}", json={"tier": "auto"}).json()
    assert changed["tier"] == "auto"
    assert api.supervisor.running[stream["id"]].tier == "auto"
    assert api.add()["tier"] == "auto"


def test_tier_that_the_model_does_not_have_is_refused_naming_the_field(api: RunningApi):
    answer = problem(api.client.post("/v1/streams", json={"url": URL, "tier": "light"}), 422)
    (error,) = answer["errors"]
    assert error["field"] == "tier" and "surveillance has no lighter network" in error["expected"]
    assert (
        problem(api.client.post("/v1/streams", json={"url": URL, "tier": "heavy"}), 422)["errors"][0]["field"] == "tier"
    )
    stream = api.add()
    assert api.client.patch(f"/v1/streams/{stream['id']}", json={"tier": "light"}).status_code == 422
    assert api.client.get(f"/v1/streams/{stream['id']}").json()["tier"] == "auto"


def with_pose_network(api: RunningApi) -> None:
    (api.settings.weights_dir / "pose").mkdir(exist_ok=True)
    (api.settings.weights_dir / "pose" / "yolov8n-pose.onnx").touch()


def test_stream_may_count_exercises_by_thresholds_of_its_own_and_change_its_mind(api: RunningApi):
    with_pose_network(api)
    form = {"squat": {"low_deg": 90.0, "heels_up": None}}
    stream = api.add(exercise="squat", form=form)
    assert (stream["exercise"], stream["form"], stream["poses_hz"], stream["no_poses"]) == ("squat", form, 0.0, None)
    path = f"/v1/streams/{stream['id']}"
    assert api.client.get(path).json()["form"] == form, "remembered"
    record = api.supervisor.running[stream["id"]]
    config = form_config(api.settings, record)
    assert config is not None and config.exercise is Exercise.SQUAT
    assert (config.rules[Exercise.SQUAT].low_deg, config.rules[Exercise.SQUAT].heels_up) == (90, None)
    changed = api.client.patch(path, json={"exercise": None, "form": None}).json()
    assert (changed["exercise"], changed["form"]) == (None, None)
    assert form_config(api.settings, api.supervisor.running[stream["id"]]) is None
    assert api.add()["exercise"] is None


def test_exercise_without_a_pose_network_is_refused_saying_how_to_get_one(api: RunningApi):
    answer = problem(api.client.post("/v1/streams", json={"url": URL, "exercise": "auto"}), 422)
    (error,) = answer["errors"]
    assert error["field"] == "exercise" and "ACTOSCOPE_POSE_WEIGHTS" in error["expected"]
    stream = api.add()
    problem(api.client.patch(f"/v1/streams/{stream['id']}", json={"exercise": "squat"}), 422)
    assert api.client.get(f"/v1/streams/{stream['id']}").json()["exercise"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"exercise": "burpee"},
        {"exercise": "squat", "form": {"burpee": {}}},
        {"exercise": "squat", "form": {"squat": {"lowness": 1}}},
        {"exercise": "squat", "form": {"squat": {"flexed_deg": 170}}},
        {"form": {"squat": {"swing_deg": None}}},
    ],
)
def test_exercises_and_thresholds_that_there_are_not_are_refused(shared_api: RunningApi, body):
    with_pose_network(shared_api)
    problem(shared_api.client.post("/v1/streams", json={"url": URL, **body}), 422)


def test_models_name_their_lighter_network(api: RunningApi):
    with_lighter_network(api)
    assert {item["id"]: item["light"] for item in api.client.get("/v1/models").json()["items"]} == {
        MODEL: "light",
        "light": None,
    }


def test_groups_are_kept_listed_and_changed_without_a_new_start(shared_api: RunningApi):
    gate, hall = shared_api.add(name="Gate", groups=["yard", "doors", "yard"]), shared_api.add(name="Hall")
    assert (gate["groups"], hall["groups"]) == (["yard", "doors"], [])
    path = f"/v1/streams/{hall['id']}"
    shared_api.supervisor.calls.clear()
    changed = shared_api.client.patch(path, json={"groups": ["yard"]}).json()
    assert (changed["groups"], shared_api.supervisor.calls) == (["yard"], [])

    def listed(group: str) -> list[str]:
        return [item["name"] for item in shared_api.client.get("/v1/streams", params={"group": group}).json()["items"]]

    assert (listed("yard"), listed("doors"), listed("nowhere")) == (["Gate", "Hall"], ["Gate"], [])
    assert shared_api.client.patch(path, json={"groups": []}).json()["groups"] == []
    assert listed("yard") == ["Gate"]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["*"], "other names than *"),
        ([""], "at least 1"),
        (["x"] * 17, "at most 16"),
        ("yard", "list"),
        (["a\nb"], "match"),
    ],
)
def test_groups_that_cannot_be_are_refused(shared_api: RunningApi, groups: object, expected: str):
    answer = shared_api.client.post("/v1/streams", json={"url": URL, "groups": groups})
    assert expected in problem(answer, 422)["detail"]


def test_groups_stay_where_the_patch_is_null(shared_api: RunningApi):
    stream = shared_api.add(groups=["yard"])
    problem(shared_api.client.patch(f"/v1/streams/{stream['id']}", json={"groups": None}), 422)
    assert shared_api.client.get(f"/v1/streams/{stream['id']}").json()["groups"] == ["yard"]
