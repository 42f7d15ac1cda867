"""The engine's process killed at random moments: nothing is lost and nothing doubled, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from service.storage.alert_tables import AlertCursorRow, IncidentRow, OutboxRow, RuleRow, SinkRow
from service.storage.database import Database
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from service.storage.tables import MessageRow
from service.wire_messages import parse_rfc3339
from tests.service.alerts import killed_engine
from tests.service.alerts.scripted_log import GATE, YARD, act, say, see
from tests.service.storage.conftest import url

__all__ = ["url"]

KILLS = {"sqlite": 55, "postgresql": 20}
LONGEST_LIFE = 0.3  # of what the whole log takes undisturbed
RULE: dict[str, Any] = {
    **{"kind": "action", "severity": "alert", "streams": [], "actions": {"Fighting": 0.8}, "zones": None},
    **{"dwell_s": 0, "for_s": 0, "group_s": 4, "cooldown_s": 0, "max_per_hour": 30, "sinks": ["snk_a", "snk_b"]},
    **{"max_age_s": 3600, "schedule": None, "clip": None, "consensus": None, "more_than": None},
}
NOBODY = {**RULE, "kind": "absence", "actions": None, "for_s": 3}
CONTEXT = multiprocessing.get_context("forkserver")  # a process in milliseconds, forked from one that has all imported


def script() -> list[dict[str, Any]]:
    """Fights of two streams, people who come and go, a stream that fails: some 240 messages."""
    messages: list[dict[str, Any]] = []
    for number in range(30):
        at, stream = 20.0 * number, (GATE, YARD)[number % 2]
        event = f"evt_{number}"
        messages += [act(at, event=event, stream=stream, track=number), see(at, 2, stream)]
        messages += [act(at + 1, event=f"{event}b", stream=stream, track=number + 100)]
        messages += [act(at + 6, "ended", event, stream=stream, track=number), see(at + 7, 0, stream)]
        messages += [act(at + 7, "ended", f"{event}b", stream=stream, track=number + 100), see(at + 14, 1, stream)]
        messages += [say(("failed", "running")[number % 2])]
    return [{**message, "seq": place} for place, message in enumerate(messages, 1)]


def with_database(url: str, folder: Path, work: Callable[[Database, Store], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        database = Database(url)
        store = Store(database, SecretBox.open(folder), folder / "recordings")
        await store.open()
        try:
            return await work(database, store)
        finally:
            await store.close()

    return asyncio.run(run())


def prepare(url: str, folder: Path) -> None:
    def fill(session: Any) -> None:
        for table in (MessageRow, IncidentRow, OutboxRow, RuleRow, SinkRow, AlertCursorRow):
            session.query(table).delete()
        rules = (("rul_000000000000000a", RULE), ("rul_000000000000000b", NOBODY))
        rows = [{"id": i, "name": i, "enabled": True, "body": body, "created_at": 1.0} for i, body in rules]
        session.execute(insert(RuleRow), rows)
        sinks = [{"id": each, "kind": "webhook", "name": each} for each in ("snk_a", "snk_b")]
        same = {"config": {"stream_events": True}, "enabled": True, "created_at": 1.0}
        session.execute(insert(SinkRow), [{**sink, **same} for sink in sinks])
        session.add(AlertCursorRow(id=1, seq=0, revision=0, state={}))

    async def work(database: Database, store: Store) -> None:
        await database.write(fill)
        await store.append(script())

    with_database(url, folder, work)


def outcome(url: str, folder: Path) -> dict[str, Any]:
    """All that was decided, without numbers that depend on when it was written."""

    def read(session: Any) -> dict[str, Any]:
        incidents = [
            {name: getattr(row, name) for name in ("id", "state", "n", "tracks", "people", "started_at", "ended_at")}
            for row in session.scalars(select(IncidentRow).order_by(IncidentRow.id))
        ]
        outbox = [
            (row.sink_id, row.incident_id or row.stream_id, row.n, row.type, row.expires_at)
            for row in session.scalars(select(OutboxRow).order_by(OutboxRow.id))
        ]
        log = session.scalars(select(MessageRow.body).where(MessageRow.type == "incident").order_by(MessageRow.seq))
        told = [{name: value for name, value in body.items() if name != "seq"} for body in log]
        return {"incidents": incidents, "outbox": outbox, "told": told}

    async def work(database: Database, _: Store) -> Any:
        return await database.read(read)

    found: dict[str, Any] = with_database(url, folder, work)
    return found


def by_incident(items: list[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def cursor(url: str) -> int:
    async def read() -> int:
        database = Database(url)
        try:
            return await database.read(lambda session: session.scalar(select(AlertCursorRow.seq)) or 0)
        finally:
            await database.close()

    return asyncio.run(read())


def test_engine_killed_at_random_moments_ends_with_what_an_undisturbed_one_decides(url: str, tmp_path: Path):
    CONTEXT.set_forkserver_preload([killed_engine.__name__])
    newest = max(parse_rfc3339(each["captured_at"]) for each in script() if "captured_at" in each)
    calm = f"sqlite:///{tmp_path / 'calm.db'}"
    prepare(calm, tmp_path)
    assert not live(calm, tmp_path, newest, None), "nobody kills it"
    expected = outcome(calm, tmp_path)
    assert len(expected["incidents"]) > 30 and len(expected["outbox"]) > 100

    prepare(url, tmp_path)
    began = time.monotonic()
    assert not live(url, tmp_path, newest, None), "nobody kills it"
    longest_s = LONGEST_LIFE * (time.monotonic() - began)
    prepare(url, tmp_path)
    chance, kills, places = random.Random(7), 0, set()
    enough = KILLS[url.partition(":")[0].partition("+")[0]]
    while kills < enough:
        while live(url, tmp_path, newest, chance.uniform(0, longest_s) if kills < enough else None):
            kills += 1
            places.add(cursor(url))
        compare(outcome(url, tmp_path), expected)  # it got to the end; if too early, once more from the beginning
        prepare(url, tmp_path)
    assert len(places) > 10, "it was killed all along the log"


def live(url: str, folder: Path, newest: float, kill_after_s: float | None) -> bool:
    """One life of the engine. → whether it was killed, ``kill_after_s`` after it began; None: it is left alone."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=killed_engine.run, args=(url, str(folder), newest, theirs))
    process.start()
    assert ours.poll(60), "the engine did not begin"
    process.join(60 if kill_after_s is None else kill_after_s)
    killed = process.exitcode is None
    if killed:
        process.kill()
        process.join()
    else:
        assert process.exitcode == 0
    return killed


def compare(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Among incidents the order depends on when which was written; within one it does not."""
    assert found["incidents"] == expected["incidents"]
    assert sorted(map(str, found["outbox"])) == sorted(map(str, expected["outbox"]))
    for name, key in (("outbox", _to_sink), ("told", _named)):
        assert by_incident(found[name], key) == by_incident(expected[name], key), f"{name}: all, once, in order"


def _to_sink(row: Any) -> Any:
    return row[0], row[1]


def _named(body: Any) -> Any:
    return body["incident_id"]
