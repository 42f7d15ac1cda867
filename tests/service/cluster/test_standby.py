"""An API that stands by: it reads, and says who leads. The lock is another's, so that no Ray is begun."""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from service.access.links import Links
from service.cluster.election import Election
from service.settings import Settings
from service.storage.cluster.leader import Candidate
from service.storage.cluster.nodes import NodeFacts, tell
from service.storage.database import Database
from service.storage.records import StreamRecord
from service.storage.secret_box import SecretBox
from service.storage.segment import Segment
from service.storage.store import Store
from tests.service.conftest import RunningApi
from tests.support.service import wait_for

STREAM = "str_0000000000000001"
VIDEO = "20260504T030000000Z.mp4"
FACTS = NodeFacts("yard-1", "inc_1", "0", "yard", "10.0.0.11", 4, 0, 8, 0.25, True)


async def furnish(url: str, data_dir: Path) -> None:
    """A stream, what was told of it, and a node."""
    database = Database(url)
    store = Store(database, SecretBox.open(data_dir), data_dir / "recordings")
    await store.open()
    await store.add_stream(StreamRecord(STREAM, "Gate", SecretStr("rtsp://127.0.0.1:9/cam"), "surveillance"))
    told = {"type": "stream", "stream_id": STREAM, "state": "running", "code": None, "reason": "it runs"}
    await store.append([{**told, "seq": 1, "at": "2026-05-04T03:02:01.000Z"}])
    await database.write(lambda session: tell(session, FACTS))
    path = data_dir / "recordings" / STREAM / VIDEO
    await store.add_recording(Segment(path, None, 1_777_863_600.0, 0.0, 60.0, 1500, 19, (576, 768)))
    await store.close()


class Leader:
    """Another API, as far as its lock goes; on a loop of its own."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._election = Election(url, Candidate("api-1", "http://10.0.0.1:8000", "10.0.0.1:6379"))
        asyncio.run_coroutine_threadsafe(self._election.open(), self._loop).result(30)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._election.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def standby(settings: Settings, cluster_url: str, tmp_path: Path) -> Iterator[RunningApi]:
    token = tmp_path / "cluster.token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    settings.data_dir.mkdir(exist_ok=True)
    asyncio.run(furnish(cluster_url, settings.data_dir))
    leader = Leader(cluster_url)
    changes = {"cluster": True, "cluster_token": token, "database_url": SecretStr(cluster_url)}
    api = RunningApi(settings.model_copy(update=changes)).start()
    yield api
    api.stop()
    leader.close()


def test_reads_are_answered_and_whatever_changes_is_refused_with_who_leads(standby: RunningApi):
    client: httpx.Client = standby.client
    shown = client.get(f"/v1/streams/{STREAM}").json()
    assert (shown["name"], shown["state"], shown["reason"]) == ("Gate", "running", "it runs")
    found = client.get("/v1/nodes").json()
    assert (found["leads"], found["leader"]["name"], found["items"][0]["id"]) == (False, "api-1", "yard-1")
    for path in (
        "/v1/events",
        "/v1/recordings",
        "/v1/rules",
        "/v1/incidents",
        "/v1/exports",
        "/v1/models",
        "/v1/system",
    ):
        assert client.get(path).status_code == 200, path
    for method, path in (("DELETE", f"/v1/streams/{STREAM}"), ("POST", "/v1/nodes/yard-1/drain")):
        refused = client.request(method, path, json={})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5"), path
        assert refused.json()["detail"] == "this API stands by: api-1 leads at http://10.0.0.1:8000"
    assert client.get(f"/v1/streams/{STREAM}").status_code == 200
    assert client.get(f"/v1/streams/{STREAM}/snapshot.jpg").status_code == 503
    assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200


def test_a_recording_that_lies_on_a_node_is_not_said_to_be_gone(standby: RunningApi):
    (recording,) = standby.client.get("/v1/recordings").json()["items"]
    path = f"/v1/recordings/{recording['id']}/video.mp4"
    refused = standby.client.get(path)
    assert (refused.status_code, refused.json()["detail"].split(":")[0]) == (503, "this API stands by")
    file = standby.settings.recordings_dir / STREAM / VIDEO
    file.parent.mkdir(parents=True)
    file.write_bytes(b"fetched when it led")
    assert standby.client.get(path).content == b"fetched when it led"


def test_a_websocket_is_refused_before_it_opens(standby: RunningApi):
    with pytest.raises(InvalidStatus) as refused, connect(standby.ws_url, proxy=None):
        pass
    assert refused.value.response.status_code == 503


def test_strangers_are_not_told_who_leads(standby: RunningApi):
    refused = standby.client.post("/v1/login", json={"name": "anna", "password": "guessed"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["detail"] == "this API stands by"
    open_to_all = ("/healthz", "/readyz", "/v1/media/inc_1/clip.mp4")
    for answer in (refused, *map(standby.client.get, open_to_all)):
        assert "api-1" not in answer.text and "10.0.0.1" not in answer.text, answer.url


def test_links_that_the_leader_ended_are_refused_by_the_standby_too(standby: RunningApi, cluster_url: str):
    path = "/v1/media/inc_0123456789abcdef/clip.mp4"
    told: list[str] = []

    async def lead() -> None:
        database = Database(cluster_url)
        links = await Links.open(database, SecretBox.open(standby.settings.data_dir))
        told.append(links.sign(path, time.time() + 600))
        assert standby.client.get(f"{path}?{told[0]}").status_code == 404, "believed, and there is no such incident"
        await links.rotate()
        told.append(links.sign(path, time.time() + 600))
        await database.close()

    asyncio.run(lead())
    wait_for(lambda: standby.client.get(f"{path}?{told[0]}").status_code == 403, 1.0, "it is refused")
    assert standby.client.get(f"{path}?{told[1]}").status_code == 404, "the new key is believed"
