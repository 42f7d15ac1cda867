"""What may be seen, as a filter of every list, count and single row; on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.access.grants import MAX_GRANTS
from service.rights import ALL, NONE, Visible
from service.storage.groups import stream_groups
from service.storage.records import Cursor, EventFilter, RecordingFilter, StreamFilter
from service.storage.segment import Segment
from service.storage.store import Store
from service.wire_messages import rfc3339, to_stream_message
from tests.service.conftest import action
from tests.service.storage.listing import list_events
from tests.service.storage.test_store import STREAM, opened

NOW = 1_777_000_000.0
MINE, FOREIGN, THIRD = (f"str_000000000000000{n}" for n in (1, 2, 3))


async def fill(store: Store, folder: Path) -> None:
    """Three streams; each has an event, a recording and two messages at NOW and 100 s later."""
    messages: list[dict[str, Any]] = []
    for index, stream_id in enumerate((MINE, FOREIGN, THIRD)):
        groups = (("yard",), ("yard", "hall"), ())[index]
        await store.add_stream(replace(STREAM, id=stream_id, name=stream_id, created_at=NOW + index, groups=groups))
        for at in (NOW, NOW + 100):
            event = action(f"{stream_id}@{at:.0f}", stream_id=stream_id, captured_at=rfc3339(at))
            messages += [event, {**to_stream_message(stream_id, "running", None, ""), "at": rfc3339(at)}]
            path = folder / "recordings" / stream_id / f"{at:.0f}.mp4"
            await store.add_recording(Segment(path, None, at, 0.0, 60.0, 1500, 9, (720, 1280)))
    await store.append([{**message, "seq": seq} for seq, message in enumerate(messages, 1)])


def in_filled(url: str, folder: Path, work: Any) -> Any:
    async def main() -> Any:
        async with opened(url, folder) as store:
            await fill(store, folder)
            return await work(store)

    return asyncio.run(main())


async def shown(store: Store, visible: Visible) -> dict[str, list[str]]:
    """Every list that there is, as stream ids with the time after the first where there is one."""

    def at(stream_id: str, time: float) -> str:
        return f"{stream_id[-1]}+{time - NOW:.0f}"

    streams = (await store.list_streams(StreamFilter(), visible, None, 9)).items
    events = (await list_events(store, EventFilter(), visible, None, 99)).items
    recordings = (await store.list_recordings(RecordingFilter(), visible, None, 99)).items
    messages = await store.replay((0, 999), 99, visible)
    assert [stream.id for stream in streams] == [stream.id for stream in await store.all_streams(visible)]
    return {
        "streams": [stream.id[-1] for stream in streams],
        "events": sorted(at(event.stream_id, event.started_at) for event in events),
        "recordings": sorted(at(item.stream_id, item.started_at) for item in recordings),
        "messages": sorted({item["stream_id"][-1] for item in messages}),
        "count": [str(len(messages))],
    }


@pytest.mark.parametrize(
    ("visible", "streams", "past", "messages"),
    [
        (ALL, "123", ["1+0", "1+100", "2+0", "2+100", "3+0", "3+100"], 12),
        (NONE, "", [], 0),
        (Visible({MINE: None}), "1", ["1+0", "1+100"], 4),
        (Visible({MINE: None, THIRD: NOW + 50}), "13", ["1+0", "1+100", "3+100"], 6),
        (Visible({MINE: NOW + 100, THIRD: NOW + 101}), "13", ["1+100"], 2),
    ],
)
def test_lists_hold_what_may_be_seen(
    url: str, tmp_path: Path, visible: Visible, streams: str, past: list[str], messages: int
):
    found = in_filled(url, tmp_path, lambda store: shown(store, visible))
    assert found == {
        "streams": list(streams),
        "events": past,
        "recordings": past,
        "messages": sorted({item[0] for item in past}),
        "count": [str(messages)],
    }


def test_single_rows_are_found_where_they_may_be_seen(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        mine = Visible({MINE: NOW + 50})
        assert await store.get_stream(MINE, mine) is not None
        assert await store.get_stream(FOREIGN, mine) is None
        for recording in (await store.list_recordings(RecordingFilter(), ALL, None, 99)).items:
            found = await store.get_recording(recording.id, mine)
            assert (found is not None) == (recording.stream_id == MINE and recording.started_at >= NOW + 50)

    in_filled(url, tmp_path, work)


def test_asking_for_a_foreign_stream_or_group_brings_nothing_of_it(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        mine = Visible({MINE: None})
        assert (await list_events(store, EventFilter(streams=(FOREIGN,)), mine, None, 9)).items == ()
        assert (await store.list_recordings(RecordingFilter(streams=(FOREIGN,)), mine, None, 9)).items == ()
        assert await store.replay((0, 999), 99, mine, (FOREIGN,)) == ()
        yard = (await store.list_streams(StreamFilter("yard"), mine, None, 9)).items
        assert [stream.id for stream in yard] == [MINE]
        assert (await store.list_streams(StreamFilter("hall"), mine, None, 9)).items == ()
        everybody = (await store.list_streams(StreamFilter("yard"), ALL, None, 9)).items
        assert [stream.groups for stream in everybody] == [("yard",), ("yard", "hall")]

    in_filled(url, tmp_path, work)


def test_pages_count_what_may_be_seen_only(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        visible = Visible({MINE: None, THIRD: None})
        first = await store.list_streams(StreamFilter(), visible, None, 1)
        assert first.next_cursor is not None
        last = await store.list_streams(StreamFilter(), visible, Cursor.decode(first.next_cursor), 1)
        assert ([item.id for item in (*first.items, *last.items)], last.next_cursor) == ([MINE, THIRD], None)
        # The row after the page is a foreign one: there is no next page.
        assert (await store.list_streams(StreamFilter(), Visible({MINE: None}), None, 1)).next_cursor is None

    in_filled(url, tmp_path, work)


def test_thousands_of_streams_and_as_many_beginnings_as_there_may_be_grants_are_one_query(url: str, tmp_path: Path):
    others = {f"str_{n:016x}": NOW + n for n in range(100, 100 + MAX_GRANTS)}
    alike = {f"str_{n:016x}": NOW for n in range(100, 5_100)}

    async def work(store: Store) -> None:
        expected = await shown(store, Visible({MINE: NOW + 50}))
        for more in (others, alike):
            assert await shown(store, Visible({**more, MINE: NOW + 50})) == expected

    in_filled(url, tmp_path, work)


def test_message_without_a_time_is_for_those_who_may_see_all_of_the_past(url: str, tmp_path: Path):
    async def work(store: Store) -> None:
        untimed = {"type": "stream", "seq": 13, "stream_id": MINE, "state": "running", "code": None, "reason": ""}
        await store.append([untimed])
        assert untimed in await store.replay((12, 13), 9, Visible({MINE: None}))
        assert await store.replay((12, 13), 9, Visible({MINE: 0.0})) == ()

    in_filled(url, tmp_path, work)


def test_groups_of_streams_and_all_of_them(url: str, tmp_path: Path):
    async def work(store: Store) -> Any:
        return await stream_groups(store._database)

    assert in_filled(url, tmp_path, work) == {
        "*": {MINE, FOREIGN, THIRD},
        "yard": {MINE, FOREIGN},
        "hall": {FOREIGN},
    }
