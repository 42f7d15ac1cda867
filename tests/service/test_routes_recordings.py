"""/v1/recordings: list, look, byte ranges, delete."""

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from service.routes.recordings import _unpacked
from service.storage.segment import Segment
from tests.service.conftest import RunningApi
from tests.service.exports.recorded import damage
from tests.service.test_routes_streams import problem

CONTENT = bytes(range(256)) * 40  # 10240 bytes


def add_recording(api: RunningApi, minute: int = 0, events: bool = True) -> dict[str, Any]:
    folder = api.settings.recordings_dir.resolve() / "str_0000000000000001"
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / f"20260504T03{minute:02d}00000Z.mp4"
    video.write_bytes(CONTENT)
    sidecar = video.with_suffix(".jsonl")
    sidecar.write_text(json.dumps({"type": "tracks"}) + "\n")
    started_at = 1_777_863_600.0 + 60 * minute
    segment = Segment(video, sidecar if events else None, started_at, 60.0 * minute, 60.0, 1500, 12_000, (576, 768))
    record = api.call(api.context.store.add_recording(segment))
    return dict(api.client.get(f"/v1/recordings/{record.id}").json())


@pytest.fixture(scope="module")
def recording(file_api: RunningApi) -> dict[str, Any]:
    """One for tests that only read it, of ``file_api``."""
    return add_recording(file_api)


def test_recording_shows_times_size_and_where_its_files_are(api: RunningApi):
    recording = add_recording(api, 1)
    path = f"/v1/recordings/{recording['id']}"
    assert recording == {
        "id": recording["id"],
        "stream_id": "str_0000000000000001",
        "started_at": "2026-05-04T03:01:00.000Z",
        "ended_at": "2026-05-04T03:02:00.000Z",
        "duration_s": 60.0,
        "start_s": 60.0,
        "bytes": 12_000,
        "frames": 1500,
        "size": {"width": 768, "height": 576},
        "video": f"{path}/video.mp4",
        "overlay": True,
        "events": f"{path}/events.jsonl",
        "place": "local",
    }
    assert api.client.get(recording["events"]).json() == {"type": "tracks"}


def test_recordings_are_listed_newest_first_filtered_and_paged(api: RunningApi):
    added = [add_recording(api, minute)["id"] for minute in range(4)]

    def listed(query: str) -> list[str]:
        return [item["id"] for item in api.client.get(f"/v1/recordings?{query}").json()["items"]]

    assert listed("") == added[::-1]
    assert listed("stream=str_0000000000000002") == []
    assert listed("since=2026-05-04T03:02:30Z") == [added[3], added[2]]
    assert listed("since=2026-05-04T03:01:00Z&until=2026-05-04T03:01:30Z") == [added[1]]
    first = api.client.get("/v1/recordings?limit=3").json()
    assert listed(f"limit=3&cursor={first['next_cursor']}") == [added[0]]


@pytest.mark.parametrize(
    ("header", "status", "first", "last"),
    [
        (None, 200, 0, 10239),
        ("bytes=0-", 206, 0, 10239),
        ("bytes=100-299", 206, 100, 299),
        ("bytes=10000-99999", 206, 10000, 10239),
        ("bytes=-240", 206, 10000, 10239),
        ("bytes=-99999", 206, 0, 10239),
        ("bytes=10239-10239", 206, 10239, 10239),
        # RFC 9110 lets a server pass over what it does not understand
        ("bytes=", 200, 0, 10239),
        ("bytes=5-2", 200, 0, 10239),
        ("bytes=0-1,5-9", 200, 0, 10239),
        ("lines=1-2", 200, 0, 10239),
        ("bytes=a-b", 200, 0, 10239),
        ("bytes=" + "9" * 30 + "-", 200, 0, 10239),
    ],
)
def test_video_is_sent_in_the_range_asked_for(
    file_api: RunningApi, recording: dict[str, Any], header: str | None, status: int, first: int, last: int
):
    video = recording["video"]
    headers = {} if header is None else {"Range": header}
    answer = file_api.client.get(video, headers=headers)
    assert answer.status_code == status
    assert answer.content == CONTENT[first : last + 1]
    assert (answer.headers["content-type"], answer.headers["accept-ranges"]) == ("video/mp4", "bytes")
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {first}-{last}/10240"
    head = file_api.client.head(video, headers=headers)
    assert (head.status_code, head.content) == (status, b"")
    assert int(head.headers["content-length"]) == last - first + 1


@pytest.mark.parametrize("header", ["bytes=10240-", "bytes=999999-1000000", "bytes=-0"])
def test_range_beyond_the_file_is_a_problem_that_says_its_size(
    file_api: RunningApi, recording: dict[str, Any], header: str
):
    answer = file_api.client.get(recording["video"], headers={"Range": header})
    assert "0..10239" in problem(answer, 416)["detail"]
    assert answer.headers["content-range"] == "bytes */10240"


def test_browser_goes_on_with_a_download_of_the_same_file_only(file_api: RunningApi, recording: dict[str, Any]):
    video = recording["video"]
    etag = file_api.client.get(video).headers["etag"]
    assert file_api.client.get(video, headers={"Range": "bytes=5-", "If-Range": etag}).status_code == 206
    assert file_api.client.get(video, headers={"Range": "bytes=5-", "If-Range": '"other"'}).status_code == 200


@pytest.mark.parametrize("stale", ['"other"', 'W/"other"', "Mon, 04 May 2020 03:02:01 GMT", "nonsense"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_part_of_another_file_gets_the_whole_one_wherever_the_range_begins(
    file_api: RunningApi, recording: dict[str, Any], method: str, stale: str
):
    for path in (recording["video"], recording["events"]):
        whole = file_api.client.get(path)
        headers = {"Range": "bytes=999999-", "If-Range": stale}
        answer = file_api.client.request(method, path, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(whole.content))
        assert answer.content == (whole.content if method == "GET" else b"")
        tag = whole.headers["etag"]
        problem(file_api.client.get(path, headers={"Range": "bytes=999999-", "If-Range": tag}), 416)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"If-None-Match": "TAG"}, 304),
        ({"If-None-Match": "W/TAG"}, 304),
        ({"If-None-Match": '"a", TAG'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": "TAG", "Range": "bytes=5-"}, 304),
        ({"If-None-Match": "TAG", "Range": "bytes=999999-"}, 304),
        ({"If-Modified-Since": "DATE"}, 304),
        ({"If-Modified-Since": "Fri, 04 May 2096 03:02:01 GMT"}, 304),
        ({"If-None-Match": '"a"', "If-Modified-Since": "DATE"}, 200),  # the tag decides
        ({"If-None-Match": '"a"'}, 200),
        ({"If-Modified-Since": "Mon, 04 May 2020 03:02:01 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "Mon, 99 May 2020 03:02:01 GMT"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["video", "events", "/", "/web/page.js"])
def test_file_that_the_client_has_is_not_sent_again(
    file_api: RunningApi, recording: dict[str, Any], path: str, changes: dict[str, str], status: int
):
    path = path if path.startswith("/") else recording[path]
    whole = file_api.client.get(path)
    values = {"TAG": whole.headers["etag"], "DATE": whole.headers["last-modified"]}
    headers = {}
    for name, value in changes.items():
        headers[name] = re.sub("TAG|DATE", lambda match: values[match[0]], value)
    for method in ("GET", "HEAD"):
        answer = file_api.client.request(method, path, headers=headers)
        assert answer.status_code == status, headers
        assert answer.content == (whole.content if (status, method) == (200, "GET") else b"")
        assert answer.headers["etag"] == values["TAG"]


def test_deleted_recording_is_gone_with_its_files(api: RunningApi):
    recording = add_recording(api)
    path = f"/v1/recordings/{recording['id']}"
    assert api.client.delete(path).status_code == 204
    for method, tail in [("GET", ""), ("DELETE", ""), ("GET", "/video.mp4"), ("GET", "/events.jsonl")]:
        problem(api.client.request(method, path + tail), 404)
    assert api.client.head(path + "/video.mp4").status_code == 404
    assert list(Path(api.settings.recordings_dir).rglob("*.mp4")) == []


def test_recording_whose_file_or_messages_are_missing_says_so(api: RunningApi):
    recording = add_recording(api, events=False)
    assert recording["events"] is None
    problem(api.client.get(f"/v1/recordings/{recording['id']}/events.jsonl"), 404)
    for video in Path(api.settings.recordings_dir).rglob("*.mp4"):
        video.unlink()
    problem(api.client.get(recording["video"]), 404)


@pytest.mark.parametrize("name", ["x", "rec_0000000000000000", "%2e%2e%2fsecret.key", "rec_000000000000000%00"])
def test_unknown_recording_is_not_found(shared_api: RunningApi, name: str):
    problem(shared_api.client.get(f"/v1/recordings/{name}/video.mp4"), 404)


def test_messages_that_were_damaged_in_the_middle_are_given_up_to_there(tmp_path: Path):
    whole = b"".join(b'{"type":"tracks","time_s":%d}\n' % (number * number) for number in range(50_000))
    sidecar = tmp_path / "messages.jsonl.gz"
    sidecar.write_bytes(gzip.compress(whole))
    damage(sidecar)
    with pytest.raises(zlib.error), gzip.open(sidecar) as file:
        file.read()
    given = b"".join(_unpacked(sidecar))
    assert given and whole.startswith(given)
