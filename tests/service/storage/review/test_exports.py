"""Exported cases on both databases: who sees them, what they need of recordings, what of the past is theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import insert

from service.rights import ALL, Visible
from service.storage.database import Database
from service.storage.records import Cursor
from service.storage.review.exports import Ending, ExportCamera, ExportRecord, ExportStore
from service.storage.review.verdicts import VerdictStore
from service.storage.segment import Needed
from service.storage.tables import EventRow
from tests.service.storage.conftest import with_database
from tests.service.storage.review.test_events import verdict

A, B = "str_000000000000000a", "str_000000000000000b"
CAMERAS = (ExportCamera(A, "Gate", (7, 9)), ExportCamera(B, "Yard"))
CASE = ExportRecord("exp_1", "Gate", CAMERAS, 100.0, 200.0, "nina", 1000.0, overlay=True)


def case(number: int, **changes: Any) -> ExportRecord:
    return replace(CASE, id=f"exp_{number}", created_at=1000.0 + number, **changes)


def with_store(url: str, work: Any) -> Any:
    return with_database(url, lambda database: work(ExportStore(database), database))


def test_case_comes_back_as_it_was_put_in_and_ends(url: str):
    async def work(store: ExportStore, database: Database) -> tuple[ExportRecord | None, ...]:
        assert await store.add(CASE, 10, 10) == ""
        stored = await store.get("exp_1", ALL)
        assert await store.begin("exp_1")
        running = await store.get("exp_1", ALL)
        assert await store.end("exp_1", Ending("done", 1100.0, bytes=1 << 40, sha256="f" * 64))
        return stored, running, await store.get("exp_1", ALL)

    stored, running, ended = with_store(url, work)
    assert stored == CASE
    assert running == replace(CASE, state="running", attempts=1)
    assert ended == replace(running, state="done", ended_at=1100.0, bytes=1 << 40, sha256="f" * 64)


def test_case_is_seen_by_whoever_sees_each_of_its_cameras_from_its_beginning_on(url: str):
    eyes = {
        "both": Visible({A: None, B: None}),
        "both since then": Visible({A: 100.0, B: None}),
        "one": Visible({A: None}),
        "both but later": Visible({A: None, B: 101.0}),
        "none": Visible({}),
        "all": ALL,
    }

    async def work(store: ExportStore, database: Database) -> list[str]:
        await store.add(CASE, 10, 10)
        seen = [name for name, visible in eyes.items() if await store.get("exp_1", visible) is not None]
        assert seen == [name for name, visible in eyes.items() if (await store.list(visible, None, 10)).items]
        return seen

    assert with_store(url, work) == ["both", "both since then", "all"]


def test_cases_are_listed_newest_first_by_pages_that_hold_still(url: str):
    async def work(store: ExportStore, database: Database) -> list[list[str]]:
        for number in range(3):
            await store.add(case(number), 10, 10)
        first = await store.list(ALL, None, 2)
        await store.add(case(3), 10, 10)
        assert first.next_cursor is not None
        second = await store.list(ALL, Cursor.decode(first.next_cursor), 2)
        return [[record.id for record in page.items] for page in (first, second)]

    assert with_store(url, work) == [["exp_2", "exp_1"], ["exp_0"]]


def test_there_is_room_for_so_many_cases_and_no_more(url: str):
    async def work(store: ExportStore, database: Database) -> list[str]:
        said = [await store.add(case(1), 2, 1), await store.add(case(2), 2, 1)]
        await store.end("exp_1", Ending("failed", 1.0, "why"))
        said += [await store.add(case(3), 2, 1), await store.add(case(4), 2, 9)]
        assert await store.delete("exp_1") and not await store.delete("exp_1")
        return [*said, await store.add(case(4), 2, 9)]

    first, waits, third, full, last = with_store(url, work)
    assert (first, third, last) == ("", "", "")
    assert "1 cases wait" in waits and "2 cases are kept" in full


def test_only_cases_that_are_not_made_yet_need_recordings(url: str):
    async def work(store: ExportStore, database: Database) -> list[set[Needed]]:
        await store.add(CASE, 10, 10)
        needed = [await store.needed()]
        await store.begin("exp_1")
        needed.append(await store.needed())
        await store.end("exp_1", Ending("done", 1100.0))
        return [set(each) for each in (*needed, await store.needed())]

    waiting, running, done = with_store(url, work)
    assert waiting == running == {Needed(A, 100.0, 200.0, True), Needed(B, 100.0, 200.0, True)}
    assert done == set()


def test_case_that_is_put_back_has_not_been_tried(url: str):
    async def work(store: ExportStore, database: Database) -> list[tuple[str, int]]:
        await store.add(CASE, 10, 10)
        await store.begin("exp_1")
        await store.put_back("exp_1")
        return [(record.state, record.attempts) for record in await store.open_ones()]

    assert with_store(url, work) == [("queued", 0)]


def event(number: int, stream_id: str, started_at: float, ended_at: float | None) -> dict[str, Any]:
    return {
        **{"id": f"evt_{number}", "stream_id": stream_id, "track_id": 7, "action": "squat", "kind": "ended"},
        **{"confidence": 0.9, "peak_confidence": 0.9, "start_s": 1.0, "end_s": 2.0, "last_seq": 0},
        **{"started_at": started_at, "updated_at": started_at, "ended_at": ended_at},
    }


def test_events_that_overlap_the_time_belong_to_it(url: str):
    rows = [
        event(1, A, 50.0, 99.0),
        event(2, A, 90.0, 100.0),
        event(3, A, 150.0, 160.0),
        event(4, A, 200.0, None),
        event(5, A, 201.0, 300.0),
        event(6, "str_000000000000000c", 150.0, 160.0),
        event(7, B, 10.0, None),
    ]

    async def work(store: ExportStore, database: Database) -> list[str]:
        await database.write(lambda session: session.execute(insert(EventRow), rows))
        past = await store.past((A, B), 100.0, 200.0)
        assert past.left_out == 0
        assert dict(past.verdicts) == {}
        return [each.id for each in past.events]

    assert with_store(url, work) == ["evt_7", "evt_2", "evt_3", "evt_4"]


def test_verdicts_are_those_of_the_events_in_it_whatever_time_they_tell(url: str):
    """One was judged while it went on: its verdict ends before the case begins."""
    early = verdict("evt_1", stream_id=A, started_at=50.0, ended_at=60.0)
    old = replace(early, id="ver_old", by_id="user:another")
    other = verdict("evt_2", stream_id=A, started_at=10.0, ended_at=20.0)

    async def work(store: ExportStore, database: Database) -> dict[str, str]:
        rows = [event(1, A, 50.0, 150.0), event(2, A, 10.0, 20.0)]
        await database.write(lambda session: session.execute(insert(EventRow), rows))
        verdicts = VerdictStore(database)
        for each in (old, early, other):
            await verdicts.put(each)
        past = await store.past((A,), 100.0, 200.0)
        return {event_id: each.id for event_id, each in past.verdicts.items()}

    assert with_store(url, work) == {"evt_1": early.id}
