"""/v1/media: signed links, byte ranges, what a link does not open; and keys changed by the admin."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from service.logs import JsonFormatter, RedactingFormatter
from service.settings import Settings
from service.storage.alert_tables import IncidentRow
from tests.service.conftest import RunningApi
from tests.service.test_routes_streams import problem

INCIDENT, OTHER = "inc_0000000000000001", "inc_0000000000000002"
PICTURE, CLIP = b"\xff\xd8 a picture", bytes(range(256)) * 8


def incident(incident_id: str, stream_id: str, started_at: float = 1_777_000_000.0, **changes: Any) -> IncidentRow:
    """A row as the engine writes it, with files of its own."""
    values: dict[str, Any] = {
        **{"rule_id": "rul_0000000000000001", "rule_name": "Gate", "stream_id": stream_id, "zone": None},
        **{"action": "squat", "severity": "alert", "state": "ended", "tracks": [7], "events": ["evt_1"]},
        **{"confidence": 0.9, "model": "surveillance", "start_s": 1.0, "end_s": 2.0, "clip_state": "ready"},
        **{"started_at": started_at, "updated_at": started_at, "ended_at": started_at + 1, "kept": False},
        **{"terms": {"kind": "action"}},
        **{"snapshot_path": f"{incident_id}/snapshot.jpg", "clip_path": f"{incident_id}/clip.mp4"},
    }
    return IncidentRow(id=incident_id, **{**values, **changes})


def add_incident(
    api: RunningApi, incident_id: str, picture: bytes = PICTURE, clip: bytes = CLIP, **changes: Any
) -> None:
    folder = api.settings.data_dir / "incidents" / incident_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "snapshot.jpg").write_bytes(picture)
    (folder / "clip.mp4").write_bytes(clip)
    row = incident(incident_id, "str_0000000000000001", **changes)

    def work(session: Session) -> None:
        session.merge(row)

    api.call(api.context.database.write(work))


@pytest.fixture
def api(run_api: Callable[..., RunningApi]) -> RunningApi:
    running = run_api()
    add_incident(running, INCIDENT)
    add_incident(running, OTHER)
    return running


def link(api: RunningApi, name: str, incident_id: str = INCIDENT, seconds: float = 60) -> str:
    path = f"/v1/media/{incident_id}/{name}"
    return f"{path}?{api.context.links.sign(path, time.time() + seconds)}"


@pytest.mark.parametrize(
    ("name", "content", "media_type"), [("snapshot.jpg", PICTURE, "image/jpeg"), ("clip.mp4", CLIP, "video/mp4")]
)
def test_signed_link_opens_its_file_in_every_way_of_http(api: RunningApi, name: str, content: bytes, media_type: str):
    url = link(api, name)
    whole = api.client.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, media_type)
    assert whole.headers["cache-control"] == "private, no-store"
    part = api.client.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, content[2:5])
    head = api.client.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(content)), b"")
    assert api.client.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_other_sites_show_it_by_link_only(api: RunningApi):
    asked = api.client.get(f"/v1/media/{INCIDENT}/snapshot.jpg")
    assert asked.headers["cross-origin-resource-policy"] == "same-origin"
    assert "cross-origin-resource-policy" not in api.client.get(link(api, "snapshot.jpg")).headers


def test_signature_is_of_one_file_and_counts_before_anything_else(api: RunningApi):
    query = link(api, "clip.mp4").partition("?")[2]
    expired = link(api, "clip.mp4", seconds=1.001)
    wrong = [
        f"/v1/media/{INCIDENT}/snapshot.jpg?{query}",
        f"/v1/media/{OTHER}/clip.mp4?{query}",
        f"/v1/media/inc_00000000000000ff/clip.mp4?{query}",  # there is none, which a wrong signature does not learn
        f"/v1/media/{INCIDENT}/clip.mp4?exp=9999999999&sig=x",
        f"/v1/media/{INCIDENT}/clip.mp4?sig=x",
        f"/v1/media/{INCIDENT}/clip.mp4?exp=1",
    ]
    time.sleep(1.01)
    for url in (*wrong, expired):
        for headers in ({}, {"Range": "bytes=0-3"}, {"If-None-Match": "*"}):
            answer = api.client.get(url, headers=headers)
            assert "not valid" in problem(answer, 403)["detail"], url


def test_link_to_what_is_gone_is_not_found(api: RunningApi):
    gone = link(api, "clip.mp4", "inc_00000000000000ff")
    assert "no incident" in problem(api.client.get(gone), 404)["detail"]
    add_incident(api, "inc_0000000000000003", clip_path=None)
    assert "no such file" in problem(api.client.get(link(api, "clip.mp4", "inc_0000000000000003")), 404)["detail"]
    (api.settings.data_dir / "incidents" / INCIDENT / "clip.mp4").unlink()
    assert "gone" in problem(api.client.get(link(api, "clip.mp4")), 404)["detail"]


def test_change_of_keys_ends_links_or_lets_them_live_on(api: RunningApi):
    first = link(api, "clip.mp4")
    assert api.client.post("/v1/media-keys/rotate", json={"revoke": False}).status_code == 204
    assert api.client.get(first).status_code == 200
    assert api.client.post("/v1/media-keys/rotate").status_code == 204
    assert api.client.get(first).status_code == 403
    assert api.client.get(link(api, "clip.mp4")).status_code == 200
    problem(api.client.post("/v1/media-keys/rotate", json={"revoke": "perhaps"}), 422)


def test_signatures_are_in_no_log_and_no_answer(api: RunningApi, caplog: pytest.LogCaptureFixture):
    url = link(api, "clip.mp4")
    signature = url.partition("sig=")[2]
    with caplog.at_level(logging.DEBUG):
        answers = [api.client.get(url), api.client.get(url.replace("clip.mp4", "snapshot.jpg"))]
    clients = ("httpx", "httpcore")
    for formatter in (RedactingFormatter(), JsonFormatter()):
        ours = [formatter.format(record) for record in caplog.records if not record.name.startswith(clients)]
        assert not any(signature in text for text in ours)
        asked = logging.makeLogRecord({"name": "uvicorn.access", "msg": f'"GET {url} HTTP/1.1" 200'})
        assert "sig=***" in formatter.format(asked) and signature not in formatter.format(asked)
    assert not any(signature in answer.text + json.dumps(dict(answer.headers)) for answer in answers)


def test_links_work_behind_a_prefix(run_api: Callable[..., RunningApi], settings: Settings, tmp_path: Path):
    api = run_api(root_path="/cameras")
    add_incident(api, INCIDENT)
    assert api.client.get("/cameras" + link(api, "clip.mp4")).content == CLIP
    assert api.client.get(link(api, "clip.mp4")).content == CLIP
