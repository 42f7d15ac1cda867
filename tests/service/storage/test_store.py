"""The store on SQLite, and on PostgreSQL where a server can be started here."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Engine, inspect

from service.rights import ALL
from service.storage.database import MIGRATIONS, Database, StoreError, make_engine, migrate
from service.storage.records import Cursor, EventFilter, RecordingFilter, StreamRecord
from service.storage.secret_box import SecretBox, SecretBoxError
from service.storage.segment import Segment
from service.storage.store import Store
from service.storage.tables import Base
from tests.service.conftest import action
from tests.service.storage.listing import list_events

CANARY = "c4n4ry"
STREAM = StreamRecord(
    id="str_0000000000000001",
    name="Gate",
    url=SecretStr(f"rtsp://viewer:{CANARY}@127.0.0.1/cam"),
    model="i3d",
    actions={"squat": 0.5},
    record=True,
    snapshot_s=2.5,
    created_at=1_777_000_000.25,
)


@asynccontextmanager
async def opened(url: str, folder: Path, messages_keep: int = 1000) -> AsyncIterator[Store]:
    store = Store(Database(url), SecretBox.open(folder), folder / "recordings", messages_keep)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def with_store(url: str, folder: Path, work: Callable[[Store], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        async with opened(url, folder, **options) as store:
            return await work(store)

    return asyncio.run(run())


def numbered(*messages: dict[str, Any], first: int = 1) -> list[dict[str, Any]]:
    return [{**message, "seq": first + n} for n, message in enumerate(messages)]


def test_stream_comes_back_as_it_was_put_in(url: str, tmp_path: Path):
    async def put(store: Store) -> None:
        await store.add_stream(STREAM)
        assert await store.change_stream(replace(STREAM, name="Door", actions=None, enabled=False))

    async def get(store: Store) -> tuple[Any, ...]:
        return (
            await store.get_stream(STREAM.id, ALL),
            await store.all_streams(ALL),
            await store.get_stream("str_x", ALL),
        )

    with_store(url, tmp_path, put)
    stream, every, none = with_store(url, tmp_path, get)
    assert stream == replace(STREAM, name="Door", actions=None, enabled=False)
    assert stream.url.get_secret_value() == STREAM.url.get_secret_value()
    assert (every, none) == ((stream,), None)


def test_stream_that_is_gone_can_be_neither_changed_nor_deleted(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        await store.add_stream(STREAM)
        assert await store.delete_stream(STREAM.id) is True
        assert await store.delete_stream(STREAM.id) is False
        assert await store.change_stream(STREAM) is False

    with_store(url, tmp_path, work)


def stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("actoscope.db*"))


def test_nothing_of_the_url_is_in_the_database_file(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'actoscope.db'}"
    with_store(url, tmp_path, lambda store: store.add_stream(STREAM))
    stored = stored_bytes(tmp_path)
    assert b"Gate" in stored
    for part in (CANARY, "viewer", "127.0.0.1", "rtsp", "***"):
        assert part.encode() not in stored, part


def as_older_versions_stored_it(engine: Engine, sealed: str) -> None:
    """Tables of revision 0002, and a stream whose masked URL holds a password that the list of names missed."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    values = (STREAM.id, "Gate", sealed, f"http://10.9.8.7/snap.cgi?loginpas={CANARY}", "i3d", "{}", "1.5")
    marks = "?, ?, ?, ?, ?, ?, ?" if engine.dialect.name == "sqlite" else "%s, %s, %s, %s, %s, %s, %s"
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0002")
        columns = "id, name, url_sealed, url_redacted, model, options, created_at, enabled"
        enabled = "1" if engine.dialect.name == "sqlite" else "true"
        connection.exec_driver_sql(f"INSERT INTO streams ({columns}) VALUES ({marks}, {enabled})", values)
        options = '{"actions": null, "record": false, "transport": "tcp", "pace": "fast", "loop": false}'
        connection.exec_driver_sql(f"UPDATE streams SET options = '{options}'")


def test_masked_urls_of_older_versions_are_taken_out_of_the_database(empty_url: str, tmp_path: Path):
    secret = SecretStr(f"http://10.9.8.7/snap.cgi?loginpas={CANARY}")
    engine = make_engine(empty_url)
    as_older_versions_stored_it(engine, SecretBox.open(tmp_path).seal(secret))
    if engine.dialect.name == "sqlite":
        assert CANARY.encode() in stored_bytes(tmp_path)
    stream = with_store(empty_url, tmp_path, lambda store: store.get_stream(STREAM.id, ALL))
    assert stream.url.get_secret_value() == secret.get_secret_value()
    assert stream.url_redacted == "http://10.9.8.7/snap.cgi?loginpas=***"
    columns = {column["name"] for column in inspect(engine).get_columns("streams")}
    assert "url_redacted" not in columns and "url_sealed" in columns
    engine.dispose()
    assert CANARY.encode() not in stored_bytes(tmp_path)


def test_events_follow_their_messages(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        await store.append(numbered(action("a"), action("b", action="squat", track_id=9, start_s=2.0)))
        await store.append(numbered(action("a", "updated", confidence=0.9), first=3))
        later = {"captured_at": "2026-05-04T03:02:05.000Z", "confidence": 0.3}
        await store.append(numbered(action("a", "ended", **later), first=4))
        page = await list_events(store, EventFilter(), ALL, None, 10)
        a, b = sorted(page.items, key=lambda event: event.id)
        assert (a.kind, a.confidence, a.peak_confidence, a.end_s) == ("ended", 0.3, 0.9, 3.0)
        assert a.ended_at is not None
        assert a.ended_at - a.started_at == 4.0
        assert (b.kind, b.end_s, b.ended_at, b.action) == ("started", None, None, "squat")
        assert await store.open_events() == (b,)
        assert await store.last_track_id(b.stream_id) == 9
        assert await store.last_track_id("str_x") == 0

    with_store(url, tmp_path, work)


def test_event_over_which_the_clock_was_set_back_is_as_long_as_it_was(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        await store.append(numbered(action("a")))
        await store.append(numbered(action("a", "ended", captured_at="2026-05-04T02:02:05.000Z"), first=2))
        (event,) = (await list_events(store, EventFilter(), ALL, None, 10)).items
        assert event.end_s is not None and event.ended_at == event.updated_at
        assert event.ended_at == event.started_at + event.end_s - event.start_s

    with_store(url, tmp_path, work)


def test_end_without_a_stored_start_still_makes_an_event(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        await store.append(numbered(action("a", "ended"), first=7))
        (event,) = (await list_events(store, EventFilter(), ALL, None, 10)).items
        assert (event.id, event.kind, event.start_s, event.end_s) == ("a", "ended", 1.0, 3.0)

    with_store(url, tmp_path, work)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EventFilter(), "edcba"),
        (EventFilter(streams=["str_0000000000000002"]), "db"),
        (EventFilter(streams=["str_0000000000000002", "str_0000000000000001"]), "edcba"),
        (EventFilter(actions=["squat"]), "cb"),
        (EventFilter(tracks=[7, 8]), "edba"),
        (EventFilter(since=1_777_863_722.0), "edc"),
        (EventFilter(until=1_777_863_722.0), "ba"),
        (EventFilter(since=1_777_863_721.0, until=1_777_863_723.0), "cb"),
        (EventFilter(min_confidence=0.75), "ea"),
        (EventFilter(actions=["nothing"]), ""),
    ],
)
def test_events_are_filtered_newest_first_whatever_the_page(tmp_path: Path, wanted: EventFilter, found: str):
    def event(n: int, **changes: Any) -> dict[str, Any]:
        return action("abcde"[n], captured_at=f"2026-05-04T03:02:0{n}.000Z", **changes)

    messages = [
        event(0),
        event(1, stream_id="str_0000000000000002", action="squat", confidence=0.7),
        event(2, action="squat", track_id=9, confidence=0.7),
        event(3, stream_id="str_0000000000000002", track_id=8, confidence=0.7),
        event(4, confidence=0.75),
    ]

    async def work(store: Store) -> None:
        await store.append(numbered(*messages))
        whole = await list_events(store, wanted, ALL, None, 10)
        assert "".join(event.id for event in whole.items) == found
        assert whole.next_cursor is None
        paged, cursor = "", None
        for _ in range(10):
            page = await list_events(store, wanted, ALL, cursor, 1)
            paged += "".join(event.id for event in page.items)
            if page.next_cursor is None:
                break
            cursor = Cursor.decode(page.next_cursor)
        assert paged == found

    with_store(f"sqlite:///{tmp_path / 'x.db'}", tmp_path, work)


def test_pages_lose_nothing_where_many_events_share_one_time(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        await store.append(numbered(*(action(f"evt_{n:02d}") for n in range(25))))
        seen, cursor = [], None
        while True:
            page = await list_events(store, EventFilter(), ALL, cursor, 4)
            seen += [event.id for event in page.items]
            if page.next_cursor is None:
                break
            cursor = Cursor.decode(page.next_cursor)
        assert seen == [f"evt_{n:02d}" for n in reversed(range(25))]

    with_store(url, tmp_path, work)


def test_log_keeps_the_newest_messages_and_never_counts_backwards(url: str, tmp_path: Path):
    async def fill(store: Store) -> None:
        for first in range(1, 1001, 50):
            await store.append(numbered(*(action(f"e{first + n}") for n in range(50)), first=first))

    async def look(store: Store) -> None:
        assert await store.last_seq() == 1000
        oldest = await store.oldest_seq()
        assert oldest is not None
        assert 801 <= oldest <= 901
        kept = await store.replay((0, 1000), 5000, ALL)
        assert [message["seq"] for message in kept] == list(range(oldest, 1001))
        assert [message["seq"] for message in await store.replay((995, 999), 3, ALL)] == [996, 997, 998]

    with_store(url, tmp_path, fill, messages_keep=100)
    with_store(url, tmp_path, look, messages_keep=100)


def test_messages_stored_already_are_left_out_when_tried_again(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        messages = numbered(action("a"), action("b"))
        await store.append(messages[:1])
        await store.append(messages)
        assert [message["seq"] for message in await store.replay((0, 9), 9, ALL)] == [1, 2]

    with_store(url, tmp_path, work)


def test_append_that_fails_keeps_nothing(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        with pytest.raises(KeyError):
            await store.append(numbered(action("a"), {"type": "action", "stream_id": "s", "event_id": "b"}))
        assert await store.last_seq() == 0
        assert (await list_events(store, EventFilter(), ALL, None, 9)).items == ()

    with_store(url, tmp_path, work)


def test_recordings_are_indexed_once_filtered_and_forgotten(url: str, tmp_path: Path):
    folder = tmp_path / "recordings"

    def segment(n: int, stream: str = "str_a") -> Segment:
        path = folder / stream / f"{n}.mp4"
        return Segment(path, path.with_suffix(".jsonl"), 1000.0 + 60 * n, 60.0 * n, 60.0, 1500, 5000, (576, 768))

    async def work(store: Store) -> None:
        added = [await store.add_recording(segment(n, "str_b" if n == 2 else "str_a")) for n in range(4)]
        assert (await store.add_recording(segment(0))).id == added[0].id
        first = added[0]
        assert (first.stream_id, first.path, first.events_path) == ("str_a", "str_a/0.mp4", "str_a/0.jsonl")
        assert (first.ended_at, first.width, first.height) == (1060.0, 768, 576)
        assert await store.get_recording(first.id, ALL) == first
        assert await store.all_recordings() == tuple(added)

        async def found(wanted: RecordingFilter) -> list[str]:
            return [item.path for item in (await store.list_recordings(wanted, ALL, None, 9)).items]

        assert await found(RecordingFilter(streams=["str_b"])) == ["str_b/2.mp4"]
        assert await found(RecordingFilter(since=1060.0, until=1121.0)) == ["str_b/2.mp4", "str_a/1.mp4"]
        assert await store.delete_recording(first.id) is True
        assert await store.delete_recording(first.id) is False
        assert await store.get_recording(first.id, ALL) is None
        with pytest.raises(ValueError, match="subpath"):
            await store.add_recording(replace(segment(9), path=tmp_path / "elsewhere.mp4"))

    with_store(url, tmp_path, work)


def test_recordings_are_told_in_the_order_in_which_they_came_whatever_the_clock_said(url: str, tmp_path: Path):
    def segment(started_at: float) -> Segment:
        path = tmp_path / "recordings" / "str_a" / f"{started_at:.0f}.mp4"
        return Segment(path, None, started_at, 0.0, 60.0, 1500, 5000, (576, 768))

    async def paths(store: Store) -> list[str]:
        return [row.path for row in await store.all_recordings()]

    async def work(store: Store) -> None:
        added = [await store.add_recording(segment(second)) for second in (3000.0, 1000.0, 2000.0)]
        assert await paths(store) == ["str_a/3000.mp4", "str_a/1000.mp4", "str_a/2000.mp4"]
        await store.delete_recording(added[2].id)  # its place may be taken again
        await store.add_recording(segment(500.0))
        assert await store.recording_paths("str_a") == {"str_a/3000.mp4", "str_a/1000.mp4", "str_a/500.mp4"}
        assert await store.recording_paths("str_b") == frozenset()

    with_store(url, tmp_path, work)
    assert with_store(url, tmp_path, paths) == ["str_a/3000.mp4", "str_a/1000.mp4", "str_a/500.mp4"]


def test_recordings_of_older_versions_are_told_oldest_first_and_before_new_ones(
    empty_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    engine = make_engine(empty_url)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0003")
        for started_at in (2000.0, 3000.0, 1000.0):
            columns = "id, stream_id, path, started_at, ended_at, start_s, duration_s, bytes, frames, width, height"
            values = f"'r{started_at}', 's', 's/{started_at:.0f}.mp4', {started_at}, 1, 1, 1, 1, 1, 1, 1"
            connection.exec_driver_sql(f"INSERT INTO recordings ({columns}) VALUES ({values})")
    engine.dispose()

    async def work(store: Store) -> list[str]:
        path = tmp_path / "recordings" / "s" / "500.mp4"
        await store.add_recording(Segment(path, None, 500.0, 0.0, 60.0, 1500, 5000, (576, 768)))
        return [row.path for row in await store.all_recordings()]

    with caplog.at_level("INFO"):
        assert with_store(empty_url, tmp_path, work) == ["s/1000.mp4", "s/2000.mp4", "s/3000.mp4", "s/500.mp4"]
    assert "a large one takes a while" in caplog.text


def test_migrations_make_exactly_the_tables_of_the_code(empty_url: str, tmp_path: Path):
    engine = make_engine(empty_url)
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_sqlite_is_in_wal_mode_and_survives_a_reader_with_a_lock(tmp_path: Path):
    path = tmp_path / "actoscope.db"

    async def work(store: Store) -> None:
        await store.append(numbered(action("a")))
        reader = sqlite3.connect(path)
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM messages").fetchone() == (1,)
        await store.append(numbered(action("b"), first=2))
        reader.close()
        assert await store.last_seq() == 2

    with_store(f"sqlite:///{path}", tmp_path, work)


def test_full_disk_is_a_store_error_without_the_statement(tmp_path: Path):
    async def work(store: Store) -> None:
        await store._database.write(lambda session: session.connection().exec_driver_sql("PRAGMA max_page_count = 1"))
        with pytest.raises(StoreError, match="full") as failed:
            for first in range(1, 100_000, 100):
                await store.append(numbered(*(action(f"e{first + n}") for n in range(100)), first=first))
        assert "INSERT" not in str(failed.value)

    with_store(f"sqlite:///{tmp_path / 'x.db'}", tmp_path, work)


@pytest.mark.parametrize("url", ["mysql://me:c4n4ry@host/db", "c4n4ry", "sqlite:////proc/none/c4n4ry.db"])
def test_database_that_cannot_be_used_is_a_store_error(url: str, tmp_path: Path):
    async def no_work(store: Store) -> None:
        raise AssertionError("the store must not open")

    with pytest.raises(StoreError) as failed:
        with_store(url, tmp_path, no_work)
    assert "c4n4ry" not in str(failed.value)


def test_key_is_private_and_another_key_opens_nothing(tmp_path: Path):
    box = SecretBox.open(tmp_path)
    sealed = box.seal(SecretStr("rtsp://a:b@c/"))
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert SecretBox.open(tmp_path).unseal(sealed).get_secret_value() == "rtsp://a:b@c/"
    (tmp_path / "secret.key").unlink()
    with pytest.raises(SecretBoxError, match="another key"):
        SecretBox.open(tmp_path).unseal(sealed)
    (tmp_path / "secret.key").write_text("short")
    with pytest.raises(SecretBoxError, match="32 bytes"):
        SecretBox.open(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "x", "W10", "WzEsMl0", "W3RydWUsICJhIl0", "W05hTiwgImEiXQ", "WzFlOTk5LCAiYSJd", "é"]
)
def test_cursor_that_was_never_given_is_refused(text: str):
    with pytest.raises(ValueError, match="next_cursor"):
        Cursor.decode(text)
    cursor = Cursor(1_777_000_000.123456, "evt_1")
    assert Cursor.decode(cursor.encode()) == cursor
