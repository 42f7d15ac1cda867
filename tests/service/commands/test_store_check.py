"""``actoscope store check``: what waits of recordings, where they go to the store that is looked at."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.storage.database import Database
from service.storage.objects import WAITING, ObjectRecord, ObjectStore
from service.storage.secret_box import SecretBox
from service.storage.segment import Segment
from service.storage.store import Store
from tests.models.store.conftest import aws, bucket, credentials  # noqa: F401 - fixtures
from tests.service.commands.command_line import typed


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
