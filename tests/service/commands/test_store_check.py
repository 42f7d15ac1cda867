"""``actoscope store check``: what waits of recordings, where they go to the store that is looked at."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from models.store.address import parse_place
from models.store.opening import open_store
from service.commands.exit_status import EXIT_FAILED
from service.storage.cluster.nodes import tell
from service.storage.cluster.objects import LeaderObjects, NodeObjects
from service.storage.database import Database
from service.storage.objects import WAITING, ObjectRecord, ObjectStore
from service.storage.secret_box import SecretBox
from service.storage.segment import Segment
from service.storage.store import Store
from tests.models.store.conftest import aws, bucket, credentials  # noqa: F401 - fixtures
from tests.service.cluster.test_standby import FACTS
from tests.service.commands.command_line import typed
from tests.service.storage.conftest import cluster_url  # noqa: F401 - a fixture


@pytest.fixture
def site(tmp_path: Path, aws: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811 - fixtures
    place = f"s3://{bucket}/site"
    for name, value in {"STORE": place, "S3_ENDPOINT": aws, "DATA_DIR": str(tmp_path / "data")}.items():
        monkeypatch.setenv(f"ACTOSCOPE_{name}", value)
    return place


async def serve_once(folder: Path) -> None:
    """What a service leaves that has recorded one file."""
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'actoscope.db'}")
    await database.open()
    store = Store(database, SecretBox.open(folder), folder)
    video = Segment(folder / "str_a" / "20270101T120000000Z.mp4", None, 1.0, 0.0, 60.0, 1500, 300, (2, 2))
    recording = await store.add_recording(video)
    await ObjectStore(database).add([ObjectRecord("k", "p", recording.id, WAITING, 3_000_000, 1.0, since=0.0)])
    await database.close()


def test_what_waits_is_told_of_the_store_that_recordings_go_to(
    site: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("store", "check") == 0
    assert "recordings" not in capsys.readouterr().out, "no service has run here"
    asyncio.run(serve_once(tmp_path / "data"))
    assert typed("store", "check") == 0
    told = capsys.readouterr().out
    assert "files of recordings that wait for it   1 (3.0 MB), since 1970-01-01T00:00:00.000Z" in told
    assert told.rstrip().endswith(f"{site}: all can be done")
    assert typed("store", "check", tmp_path / "other") == 0
    assert "recordings" not in capsys.readouterr().out, "it is another one"


async def lead_once(url: str, place: str, folder: Path) -> None:
    """What is in the database of a cluster: two nodes, of which one has files that wait."""
    database = Database(url)
    await database.open()
    objects, store = LeaderObjects(database), Store(database, SecretBox.open(folder), folder)
    await objects.owner_id()
    await objects.say_place(place)
    for facts in (replace(FACTS, name="a", store=place), replace(FACTS, name="b", store="s3://other/site")):
        await database.write(lambda session, facts=facts: tell(session, facts))  # type: ignore[misc]
    video = Segment(folder / "str_a" / "20270101T120000000Z.mp4", None, 1.0, 0.0, 60.0, 1500, 300, (2, 2))
    recording = await store.add_recording(video)
    row = ObjectRecord("k", "p", recording.id, WAITING, 3_000_000, 1.0, since=0.0, node="a")
    await NodeObjects(database, "a").add([row])
    await database.close()


def test_machine_of_a_cluster_is_told_whether_the_place_is_the_cluster_s_and_what_waits_by_node(
    site: str,
    tmp_path: Path,
    cluster_url: str,  # noqa: F811 - a fixture
    aws: str,  # noqa: F811 - a fixture
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACTOSCOPE_DATABASE_URL", cluster_url)
    asyncio.run(lead_once(cluster_url, "s3://elsewhere/site", tmp_path))
    assert typed("store", "check") == EXIT_FAILED
    told = capsys.readouterr().out
    assert "no: they go to s3://elsewhere/site" in told and "no: recordings/OWNER is not there" in told

    async def claimed() -> None:
        database = Database(cluster_url)
        objects = LeaderObjects(database)
        await objects.say_place(site)
        open_store(parse_place(site), aws).put_bytes("recordings/OWNER", (await objects.owner()).encode())
        await database.close()

    asyncio.run(claimed())
    assert typed("store", "check") == 0
    told = capsys.readouterr().out
    assert "of them at node a" in told and "1 (3.0 MB), since 1970-01-01T00:00:00.000Z" in told
    assert "ACTOSCOPE_STORE there is s3://other/site" in told
