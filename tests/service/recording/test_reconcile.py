"""Recordings and their rows: repair after a crash, deletion, retention, one owner of the folder. Real video files."""

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from service.recording import reconcile
from service.recording.locks import FolderLock
from service.recording.reconcile import Recordings, Repair
from service.recording.retention import Limits
from service.recording.segment_files import FRAGMENTED_MP4, describe_start, part_of, read_segment
from service.rights import ALL
from service.storage.database import Database
from service.storage.records import RecordingFilter, RecordingRecord
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from tests.support.fresh_database import fresh_url

FOREVER = Limits(1e12, 1 << 50)


def write_video(path: Path, seconds: int = 2, killed: bool = False) -> Path:
    """A small fragmented MP4 as the recorder writes it, with one message beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4", options=FRAGMENTED_MP4) as container:
        container.metadata["comment"] = describe_start(5.0, overlay=False)
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.gop_size = 64, 48, 10
        for n in range(10 * seconds):
            picture = np.full((48, 64, 3), 10 * n % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        if killed:  # what is on the disk before the file is closed
            part_of(path).write_bytes(path.read_bytes())
    if killed:
        path.unlink()
    path.with_suffix(".jsonl.part" if killed else ".jsonl").write_text('{"type":"x"}\n')
    return path


def run(folder: Path, work: Callable[[Recordings, Store], Awaitable[Any]], retention: Limits = FOREVER) -> Any:
    async def main() -> Any:
        store = Store(Database(fresh_url(folder)), SecretBox.open(folder), folder / "recordings")
        await store.open()
        try:
            return await work(Recordings(folder / "recordings", store, retention), store)
        finally:
            await store.close()

    return asyncio.run(main())


async def rows(store: Store) -> list[RecordingRecord]:
    return list((await store.list_recordings(RecordingFilter(), ALL, None, 99)).items)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings" / "str_a"
    for minute in range(3):
        write_video(folder / f"20260504T03{minute:02d}00000Z.mp4")
    return folder


def test_finished_files_without_a_row_are_indexed_once(tmp_path: Path, videos: Path):
    async def work(recordings: Recordings, store: Store) -> None:
        assert await recordings.reconcile() == Repair(adopted=3)
        assert await recordings.reconcile() == Repair()
        newest = (await rows(store))[0]
        assert (newest.stream_id, newest.path) == ("str_a", "str_a/20260504T030200000Z.mp4")
        assert newest.events_path == "str_a/20260504T030200000Z.jsonl"
        assert (newest.frames, newest.width, newest.height, newest.start_s) == (20, 64, 48, 5.0)
        assert newest.duration_s == pytest.approx(2.0)

    run(tmp_path, work)


def test_file_that_was_open_at_a_kill_becomes_a_recording_that_plays(tmp_path: Path):
    folder = tmp_path / "recordings" / "str_a"
    whole = write_video(folder / "20260504T030000000Z.mp4", seconds=4, killed=True)

    async def work(recordings: Recordings, store: Store) -> None:
        assert await recordings.reconcile() == Repair(adopted=1)
        (record,) = await rows(store)
        path = recordings.path(record.path)
        assert 20 <= read_segment(path).frames <= 40  # at most the last 2 s are lost
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == record.frames

    run(tmp_path, work)
    assert sorted(path.suffix for path in whole.parent.iterdir()) == [".gz", ".mp4"]


def test_row_without_file_and_files_without_content_are_removed(tmp_path: Path, videos: Path):
    async def work(recordings: Recordings, store: Store) -> None:
        await recordings.reconcile()
        first = sorted(videos.glob("*.mp4"))[0]
        first.unlink()
        empty = videos / "20260504T050000000Z.mp4.part"
        empty.write_bytes(b"")
        assert await recordings.reconcile() == Repair(forgotten=1)
        assert len(await rows(store)) == 2
        assert not empty.exists()
        assert not first.with_suffix(".jsonl").exists(), "a sidecar without its video is left"

    run(tmp_path, work)


def test_unreadable_file_is_left_alone_and_stops_nothing(tmp_path: Path, videos: Path):
    (videos / "20260504T050000000Z.mp4").write_bytes(b"no video at all")
    (videos / "holiday.mp4").write_bytes(b"not ours")

    async def work(recordings: Recordings, store: Store) -> None:
        assert await recordings.reconcile() == Repair(adopted=3)

    run(tmp_path, work)
    assert (videos / "holiday.mp4").exists()
    assert (videos / "20260504T050000000Z.mp4").exists()


def test_deletion_takes_file_messages_and_row(tmp_path: Path, videos: Path):
    async def work(recordings: Recordings, store: Store) -> None:
        await recordings.reconcile()
        record = (await rows(store))[0]
        await recordings.delete(record)
        assert len(await rows(store)) == 2
        assert not recordings.path(record.path).exists()
        assert record.events_path is not None
        assert not recordings.path(record.events_path).exists()
        await recordings.delete(record)

    run(tmp_path, work)
    assert len(list(videos.iterdir())) == 4


def test_retention_deletes_what_is_too_old(tmp_path: Path, videos: Path):
    async def work(recordings: Recordings, store: Store) -> None:
        await recordings.reconcile()
        newest = (await rows(store))[0]
        assert await recordings.retain(newest.ended_at + 59) == 2
        assert await rows(store) == [newest]

    run(tmp_path, work, Limits(max_age_s=60, max_bytes=1 << 40))
    assert len(list(videos.glob("*.mp4"))) == 1


def test_retention_deletes_the_oldest_of_too_much(tmp_path: Path, videos: Path):
    size = sum(path.stat().st_size for path in videos.iterdir())

    async def work(recordings: Recordings, store: Store) -> None:
        await recordings.reconcile()
        kept = (await rows(store))[:2]
        assert await recordings.retain(0.0) == 1
        assert await rows(store) == kept

    run(tmp_path, work, Limits(max_age_s=1e12, max_bytes=size - 1))


def test_retention_after_the_clock_was_set_back_still_deletes_what_came_first(tmp_path: Path, videos: Path):
    """What is new looks oldest then, and would be deleted as soon as it is recorded."""

    async def work(recordings: Recordings, store: Store) -> list[str]:
        await recordings.reconcile()
        assert await recordings.retain(0.0) == 0
        before = await rows(store)
        path = write_video(tmp_path / "recordings" / "str_1" / "20200101T000000000Z.mp4")
        await store.add_recording(read_segment(path))
        room = sum(item.bytes for item in before)
        recordings._retention = Limits(1e12, room)
        assert await recordings.retain(0.0) >= 1
        return [item.path for item in await rows(store)]

    left = run(tmp_path, work)
    assert "str_1/20200101T000000000Z.mp4" in left


def test_what_was_recorded_while_the_clock_stood_wrong_stays_newest_after_a_restart(tmp_path: Path, videos: Path):
    newest = tmp_path / "recordings" / "str_1" / "20200101T000000000Z.mp4"

    async def record(recordings: Recordings, store: Store) -> int:
        await recordings.reconcile()
        room = sum(item.bytes for item in await rows(store))
        await store.add_recording(read_segment(write_video(newest)))
        return room

    room = run(tmp_path, record)

    async def start_again(recordings: Recordings, store: Store) -> list[str]:
        await recordings.reconcile()
        assert await recordings.retain(0.0) >= 1
        return [item.path for item in await rows(store)]

    left = run(tmp_path, start_again, Limits(1e12, room))
    assert "str_1/20200101T000000000Z.mp4" in left
    assert "str_a/20260504T030000000Z.mp4" not in left


def test_files_of_several_streams_without_rows_are_indexed_oldest_first(tmp_path: Path):
    folder = tmp_path / "recordings"
    names = ["str_b/20260504T010000000Z.mp4", "str_a/20260504T020000000Z.mp4", "str_b/20260504T030000000Z.mp4"]
    for name in names:
        write_video(folder / name)

    async def work(recordings: Recordings, store: Store) -> None:
        await recordings.reconcile()
        assert [row.path for row in await store.all_recordings()] == names

    run(tmp_path, work)


def test_start_removes_locks_of_streams_that_are_gone(tmp_path: Path, videos: Path):
    folder = tmp_path / "recordings"
    (folder / "str_b").mkdir()
    (folder / ".str_c.lock").touch()
    (folder / ".lock").touch()
    run(tmp_path, lambda recordings, _: recordings.reconcile())
    assert sorted(path.name for path in folder.iterdir()) == [".str_a.lock", "str_a"]


def test_stop_of_a_stream_reads_no_other_streams_rows(tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch):
    other = write_video(tmp_path / "recordings" / "str_b" / "20260504T030000000Z.mp4")

    async def work(recordings: Recordings, store: Store) -> list[str]:
        await store.add_recording(read_segment(other))
        monkeypatch.delattr(Store, "all_recordings")
        recordings.on_stream({"state": "stopped", "code": None, "stream_id": "str_a"})
        await recordings.close()
        return sorted({row.stream_id for row in await rows(store)})

    assert run(tmp_path, work) == ["str_a", "str_b"]


def test_retention_runs_by_itself_and_ends_with_the_service(tmp_path: Path, videos: Path):
    async def work(recordings: Recordings, store: Store) -> None:
        await recordings.open()
        ready = asyncio.Event()
        recordings.begin_retention(ready)
        await asyncio.sleep(0.05)
        assert len(await rows(store)) == 3, "nobody knows yet what incidents need"
        ready.set()
        while await rows(store):
            await asyncio.sleep(0.01)
        await recordings.close()

    run(tmp_path, work, Limits(max_age_s=1, max_bytes=1 << 40))
    assert list(videos.iterdir()) == []


def test_retention_does_not_wait_for_ever_for_alerts(tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reconcile, "HELD_BACK_S", 0.05)

    async def work(recordings: Recordings, store: Store) -> None:
        await recordings.open()
        recordings.begin_retention(asyncio.Event())
        while await rows(store):
            await asyncio.sleep(0.01)
        await recordings.close()

    run(tmp_path, work, Limits(max_age_s=1, max_bytes=1 << 40))


def finish_late(folder: Path, video: Path, began: Any) -> None:
    """A stream process that outlives a killed service: it finishes its file a moment later, then ends."""
    lock = FolderLock(folder / "str_a")
    assert lock.acquire()
    began.set()
    time.sleep(0.5)
    part_of(video).write_bytes(video.with_suffix(".whole").read_bytes())
    part_of(video).rename(video)
    lock.release()


def test_repair_waits_for_processes_that_still_finish_their_recordings(tmp_path: Path, caplog):
    folder = tmp_path / "recordings"
    video = write_video(folder / "str_a" / "20260131T123456000Z.mp4")
    whole = video.read_bytes()
    video.with_suffix(".whole").write_bytes(whole)
    part_of(video).write_bytes(whole[: len(whole) // 2])
    video.unlink()
    context = multiprocessing.get_context("spawn")
    began = context.Event()
    writer = context.Process(target=finish_late, args=(folder, video, began))
    writer.start()
    assert began.wait(30)
    assert run(tmp_path, lambda recordings, _: recordings.reconcile()) == Repair(adopted=1)
    writer.join(10)
    assert writer.exitcode == 0
    assert video.read_bytes() == whole  # neither cut nor rewritten under its writer
    assert "stream processes of an earlier run" in caplog.text


def test_open_file_of_a_process_that_does_not_end_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
):
    monkeypatch.setattr("service.recording.reconcile.WRITERS_S", 0.1)
    folder = tmp_path / "recordings"
    video = write_video(folder / "str_a" / "20260131T123456000Z.mp4", killed=True)
    before = part_of(video).read_bytes()
    lock = FolderLock(folder / "str_a")
    assert lock.acquire()
    assert run(tmp_path, lambda recordings, _: recordings.reconcile()) == Repair()
    lock.release()
    assert part_of(video).read_bytes() == before
    assert "still records" in caplog.text
    assert run(tmp_path, lambda recordings, _: recordings.reconcile()) == Repair(adopted=1)


@pytest.mark.parametrize(
    "message",
    [
        {"state": "reconnecting", "code": "crashed", "stream_id": "str_a"},
        {"state": "failed", "code": "crash_loop", "stream_id": "str_a"},
        {"state": "stopped", "code": None, "stream_id": "str_a"},
    ],
    ids=lambda message: str(message["code"]),
)
def test_what_a_process_left_is_finished_and_indexed_when_it_is_gone(tmp_path: Path, message: dict[str, Any]):
    folder = tmp_path / "recordings"
    for stream_id in ("str_a", "str_b"):
        write_video(folder / stream_id / "20260504T030000000Z.mp4", killed=True)
    write_video(folder / "str_a" / "20260504T020000000Z.mp4")  # finished, but nobody could be told of it any more

    async def work(recordings: Recordings, store: Store) -> None:
        recordings.on_stream({"state": "reconnecting", "code": "refused", "stream_id": "str_b"})
        recordings.on_stream(message)
        await recordings.close()  # waits for what began
        assert [row.path for row in await rows(store)] == [
            "str_a/20260504T030000000Z.mp4",
            "str_a/20260504T020000000Z.mp4",
        ]

    run(tmp_path, work)
    assert part_of(folder / "str_b" / "20260504T030000000Z.mp4").exists(), "that process still lives"


def test_file_that_the_next_process_writes_is_not_repaired_under_it(tmp_path: Path):
    video = write_video(tmp_path / "recordings" / "str_a" / "20260504T030000000Z.mp4", killed=True)
    before = part_of(video).read_bytes()
    lock = FolderLock(video.parent)
    assert lock.acquire()

    async def work(recordings: Recordings, store: Store) -> None:
        recordings.on_stream({"state": "reconnecting", "code": "crashed", "stream_id": "str_a"})
        await recordings.close()
        assert await rows(store) == []

    run(tmp_path, work)
    lock.release()
    assert part_of(video).read_bytes() == before
