"""A camera is recorded while S3 is away: nothing is lost, all of it goes there once it is back and plays from there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from service.wire_messages import parse_rfc3339
from tests.e2e.conftest import CACHE
from tests.models.store.conftest import aws, bucket, credentials, proxy  # noqa: F401 - fixtures
from tests.support.s3 import CREDENTIALS, GONE, FaultProxy
from tests.support.service import SAMPLE_URL, Service, wait_for

FIVE_MINUTES = (pytest.mark.exhaustive, pytest.mark.timeout(900))


@pytest.fixture
def recorder(
    tmp_path: Path,
    quick: dict[str, str],
    bucket: str,  # noqa: F811 - a fixture
    proxy: FaultProxy,  # noqa: F811 - a fixture
) -> Iterator[Service]:
    place = {"store": f"s3://{bucket}/site", "s3_endpoint": proxy.url, "recordings_local_hours": "0"}
    service = Service(tmp_path, CACHE, segment_s="2", **place, **quick)
    service.environment.update(CREDENTIALS)
    with service:
        yield service


def recordings(service: Service) -> list[dict[str, Any]]:
    """Newest first."""
    return list(service.client.get("/v1/recordings?limit=500").json()["items"])


def cover(found: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """→ the recordings, where there are two at least and they reach so far."""
    if len(found) < 2:
        return []
    began, ended = (parse_rfc3339(each) for each in (found[-1]["started_at"], found[0]["ended_at"]))
    return found if ended - began >= seconds else []


@pytest.mark.parametrize("seconds", [3, pytest.param(300, marks=FIVE_MINUTES)])
def test_recording_goes_on_while_s3_is_away_and_all_of_it_is_there_afterwards(
    recorder: Service,
    proxy: FaultProxy,  # noqa: F811 - a fixture
    seconds: int,
):
    proxy.judge = lambda method, path: GONE
    stream = recorder.add_stream(SAMPLE_URL, record=True)["id"]
    made = wait_for(lambda: cover(recordings(recorder), seconds), seconds + 120, "recordings, without a bucket")
    assert {each["place"] for each in made} == {"local"}
    wait_for(lambda: "wait" in recorder.client.get("/readyz").json()["bucket"], 90, "it is said that files wait")
    recorder.client.patch(f"/v1/streams/{stream}", json={"record": False})
    proxy.judge = lambda method, path: None
    wait_for(lambda: {each["place"] for each in recordings(recorder)} == {"s3"}, 300, "all of it is in the bucket")
    for copy in recorder.folder.rglob("2*.mp4"):  # sooner than they go by themselves
        copy.unlink()
    assert {each["id"] for each in made} <= {each["id"] for each in recordings(recorder)}
    for each in recordings(recorder):
        answer = recorder.client.get(each["video"])
        assert answer.status_code == 200
        with av.open(io.BytesIO(answer.content)) as video:
            assert sum(1 for _ in video.decode(video=0)) == each["frames"]
    assert recorder.client.get("/readyz").json()["bucket"] == "ok"
