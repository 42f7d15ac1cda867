"""Recordings and incidents' files that are in S3 alone: answered as if they were here."""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.bucket import bucket as bucket_module
from service.bucket import copies
from service.review import keeper
from service.storage.segment import Segment
from service.wire_messages import rfc3339
from tests.models.store.conftest import aws, bucket, credentials, proxy  # noqa: F401 - fixtures
from tests.service.conftest import RunningApi
from tests.service.review.test_corrections import BEGIN, corrections, event_of, judge, recorded
from tests.service.test_routes_media import CLIP, INCIDENT, add_incident, incident
from tests.service.test_routes_streams import problem
from tests.support.s3 import CUT, GONE, FaultProxy, first
from tests.support.service import wait_for

CONTENT = bytes(range(256)) * 2500  # two blocks and a bit
LINES = "".join(json.dumps({"type": "tracks", "time_s": n * n}) + "\n" for n in range(20_000))
ASKED: list[dict[str, str]] = [
    {},
    {"Range": "bytes=0-"},
    {"Range": "bytes=100-299"},
    {"Range": "bytes=262143-300000"},  # over the edge of the first block
    {"Range": "bytes=639000-99999999"},
    {"Range": "bytes=-240"},
    {"Range": "bytes=-99999999"},
    {"Range": "bytes=5-2"},
    {"Range": "bytes=0-1,5-9"},
    {"Range": "bytes=640000-"},
    {"Range": "bytes=5-9", "If-Range": "TAG"},
    {"Range": "bytes=5-9", "If-Range": '"other"'},
    {"Range": "bytes=5-9", "If-Range": "DATE"},
    {"If-None-Match": "TAG"},
    {"If-Modified-Since": "DATE"},
]


@pytest.fixture
def api(
    run_api: Callable[..., RunningApi],
    bucket: str,  # noqa: F811 - a fixture
    proxy: FaultProxy,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> RunningApi:
    for name in ("LOOK_S", "COPIES_S"):
        monkeypatch.setattr(bucket_module, name, 0.1)
    return run_api(store=f"s3://{bucket}/site", s3_endpoint=proxy.url, recordings_local_hours=0)


def add_recording(api: RunningApi) -> str:
    """→ the path of its video in the API; nothing is sent before the proxy lets it through."""
    folder = api.settings.recordings_dir.resolve() / "str_0000000000000001"
    folder.mkdir(parents=True, exist_ok=True)
    video, sidecar = folder / "20260504T030100000Z.mp4", folder / "20260504T030100000Z.jsonl.gz"
    video.write_bytes(CONTENT)
    sidecar.write_bytes(gzip.compress(LINES.encode()))
    segment = Segment(video, sidecar, time.time() - 60, 60.0, 60.0, 1500, 12_000, (576, 768))
    record = api.call(api.context.store.add_recording(segment))
    return f"/v1/recordings/{record.id}"


def answers(api: RunningApi, path: str) -> list[tuple[Any, ...]]:
    whole = api.client.get(path)
    values = {"TAG": whole.headers["etag"], "DATE": whole.headers["last-modified"]}
    told = []
    for asked in ASKED:
        headers = {name: values.get(value, value) for name, value in asked.items()}
        for method in ("GET", "HEAD"):
            told.append(_told(api.client.request(method, path, headers=headers)))
    return told


def _told(answer: httpx.Response) -> tuple[Any, ...]:
    left_out = ("date", "server", "x-request-id")
    return answer.status_code, answer.content, {k: v for k, v in answer.headers.items() if k not in left_out}


def in_bucket_alone(api: RunningApi) -> None:
    wait_for(lambda: not list(api.settings.recordings_dir.rglob("2*")), 60, "local copies are gone")


def test_every_request_is_answered_as_it_was_while_the_file_was_here(api: RunningApi, proxy: FaultProxy):  # noqa: F811
    proxy.judge = lambda method, path: GONE
    path = add_recording(api)
    here = answers(api, f"{path}/video.mp4")
    events = api.client.get(f"{path}/events.jsonl")
    plain = {"Accept-Encoding": "identity"}
    assert api.client.get(path).json()["place"] == "local"
    proxy.judge = lambda method, path: None
    in_bucket_alone(api)
    assert api.client.get(path).json()["place"] == "s3"
    there = answers(api, f"{path}/video.mp4")
    for asked, before, after in zip([a for a in ASKED for _ in "gh"], here, there, strict=True):
        assert after == before, asked
    assert _told(api.client.get(f"{path}/events.jsonl")) == _told(events)
    assert events.text == LINES
    assert api.client.get(f"{path}/events.jsonl", headers=plain).text == LINES
    proxy.judge = first(1, CUT, "GET.*mp4")
    assert api.client.get(f"{path}/video.mp4").content == CONTENT, "it goes on where it broke off"
    assert all("X-Amz" not in line and "Signature" not in line for line in json.dumps([each[2] for each in there]))
    api.client.delete(path)
    wait_for(lambda: api.client.get("/v1/system").json()["machine"]["bucket"]["deletions"] == 0, 60, "objects are gone")


def test_bucket_that_is_away_is_told_and_answers_what_is_in_it_alone_with_503(
    api: RunningApi,
    proxy: FaultProxy,  # noqa: F811
):
    path = add_recording(api)
    in_bucket_alone(api)
    proxy.judge = lambda method, path: GONE
    client = api.visitor()
    client.timeout = httpx.Timeout(60)
    for tail in ("video.mp4", "events.jsonl"):
        for headers in ({}, {"Accept-Encoding": "identity"}):
            assert "bucket" in problem(client.get(f"{path}/{tail}", headers=headers), 503)["detail"]
    add_incident(api, INCIDENT)
    clip = f"/v1/incidents/{INCIDENT}/clip.mp4"

    def told() -> Any:
        return (of := api.client.get("/v1/system").json()["machine"]["bucket"])["problem"] and of["waiting"] == 2 and of

    system = wait_for(told, 60, "two files wait, and why")
    assert system["problem"].startswith(f"{system['place']}: not reached since")
    ready = api.client.get("/readyz").json()
    assert "wait" in ready["bucket"] and "s3://" not in ready["bucket"]
    metrics = api.client.get("/metrics").text
    assert "actoscope_bucket_uploads_pending 2.0" in metrics and "actoscope_bucket_failing 1.0" in metrics
    assert api.client.get(clip).content == CLIP
    proxy.judge = lambda method, path: None
    wait_for(lambda: not list(api.settings.incidents_dir.rglob("clip.mp4")), 90, "the clip is sent, and gone")
    link = f"/v1/media/{INCIDENT}/clip.mp4"
    signed = f"{link}?{api.context.links.sign(link, time.time() + 60)}"
    assert api.visitor().get(signed, headers={"Range": "bytes=2-5"}).content == CLIP[2:6]
    problem(api.visitor().get(f"{signed}0"), 403)


def test_cases_and_clips_are_made_of_what_is_in_the_bucket_alone_as_soon_as_it_answers(
    api: RunningApi,
    proxy: FaultProxy,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(copies, "ASK_AGAIN_S", 0.1)
    monkeypatch.setattr(keeper, "LOOK_S", 0.1)
    stream = api.add(name="Gate")["id"]
    recorded(api, stream)
    event_of(api, stream, model="surveillance")
    in_bucket_alone(api)
    proxy.judge = lambda method, path: GONE if method == "GET" and path.endswith(".mp4") else None
    times = {"since": rfc3339(BEGIN), "until": rfc3339(BEGIN + 8)}
    export = api.client.post("/v1/exports", json={"streams": [stream], **times}).json()["id"]
    verdict = judge(api, "evt_1", verdict="wrong", label="squat")["id"]
    span = {"updated_at": BEGIN + 4, "ended_at": BEGIN + 4, "clip_state": "waiting", "clip_path": None}
    terms = {"rule_name": "Gate", "severity": "alert", "kind": "action", "group_s": 1.0, "max_age_s": 1.0}
    row = incident(INCIDENT, stream, BEGIN + 2, snapshot_path=None, terms=terms, **span)
    api.call(api.context.database.write(lambda session: session.add(row)))

    def state() -> tuple[str, str, str]:
        case = api.client.get(f"/v1/exports/{export}").json()
        (correction,) = (each for each in corrections(api) if each["id"] == verdict)
        clip = api.client.get(f"/v1/incidents/{INCIDENT}").json()["clip_state"]
        reasons = "bucket" if "bucket" in case["reason"] and "bucket" in correction["clip_reason"] else ""
        return case["state"], correction["clip"], clip + reasons

    wait_for(lambda: state() == ("queued", "pending", "waitingbucket"), 60, "all wait for the bucket, and say so")
    proxy.judge = lambda method, path: None
    wait_for(lambda: state()[:2] == ("done", "stored") and state()[2].startswith("ready"), 60, "all are made")
    case = api.client.get(f"/v1/exports/{export}/case.zip")
    with zipfile.ZipFile(io.BytesIO(case.content)) as archive:
        (camera,) = json.loads(archive.read("manifest.json"))["cameras"]
    assert (camera["pictures"], camera["unreadable"], camera["lines"] is not None) == (200, [], True)
    in_bucket_alone(api)


def test_recordings_in_a_bucket_that_is_named_no_more_stay_and_say_so(
    api: RunningApi, run_api: Callable[..., RunningApi]
):
    path = add_recording(api)
    in_bucket_alone(api)
    api.stop()
    without = run_api()
    assert without.client.get(path).json()["place"] == "s3"
    assert "ACTOSCOPE_STORE names none" in problem(without.client.get(f"{path}/video.mp4"), 503)["detail"]
    assert without.client.get("/v1/system").json()["machine"]["bucket"] is None
    assert "bucket" not in without.client.get("/readyz").json()


def test_folder_as_store_is_for_commands_alone(run_api: Callable[..., RunningApi], tmp_path: Any):
    api = run_api(store=str(tmp_path / "store"))
    add_recording(api)
    assert api.context.recordings.bucket is None
    assert not (tmp_path / "store").exists()
