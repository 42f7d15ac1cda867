"""The runner over a real store and hub: its cursor, its own messages, a log with holes, a second engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from service.alerts.rows import to_row
from service.alerts.runner import AlertRunner
from service.hub import Hub
from service.storage import alert_log
from service.storage.alert_log import Commit, CursorMoved
from service.storage.alert_tables import AlertCursorRow, IncidentRow, OutboxRow, RuleRow, SinkRow
from service.storage.database import Database
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from service.storage.tables import MessageRow
from tests.service.alerts.scripted_log import BEGIN, Played, act, rule, see
from tests.service.alerts.test_killed_engine import RULE
from tests.service.storage.conftest import url

__all__ = ["url"]

QUICK = {**RULE, "group_s": 0, "sinks": ["snk_a"]}


class Engine:
    """A runner whose clock stands still unless it is moved, with what is stored beside it."""

    def __init__(self, database: Database, store: Store, hub: Hub) -> None:
        self.database, self.store, self.hub = database, store, hub
        self.now = BEGIN
        self.runner = AlertRunner(database, hub, lambda: self.now)

    async def all(self, column: Any) -> list[Any]:
        return await self.database.read(lambda session: list(session.scalars(select(column))))

    async def write(self, statement: Any) -> None:
        await self.database.write(lambda session: session.execute(statement))

    async def add_rule(self) -> None:
        values = {"id": "rul_a", "name": "a", "enabled": True, "body": QUICK, "created_at": 1.0}
        await self.write(insert(RuleRow).values(**values))

    async def tell(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self.hub.publish_action(message)
        await self.until_read()

    async def until_read(self) -> None:
        """Everything there is, the engine's own messages too."""
        while True:
            async with self.runner._lock:  # between two turns of the loop
                await self.hub.flush()
                if self.runner.seq == self.hub.seq and not self.runner._state.unpublished:
                    return
            await asyncio.sleep(0.01)

    @property
    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.runner.measures()["counters"]
        return counters


def run(url: str, folder: Path, work: Callable[[Engine], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        database = Database(url)
        store = Store(database, SecretBox.open(folder), folder / "recordings", **options)
        await store.open()
        hub = Hub(store)
        await hub.open()
        engine = Engine(database, store, hub)
        try:
            await asyncio.wait_for(work(engine), 20)
        finally:
            await engine.runner.close()
            await hub.close()
            await store.close()

    asyncio.run(main())


def test_first_start_tells_nothing_of_what_was_before(url: str, tmp_path: Path):
    async def work(engine: Engine) -> None:
        await engine.add_rule()
        await engine.hub.publish_action(act(0))
        await engine.hub.flush()
        await engine.runner.open()
        await engine.until_read()
        assert await engine.all(IncidentRow.id) == []
        await engine.tell(act(10, event="evt_2"))
        assert len(await engine.all(IncidentRow.id)) == 1

    run(url, tmp_path, work)


def test_its_own_messages_are_in_the_log_once_and_make_no_others(url: str, tmp_path: Path):
    async def work(engine: Engine) -> None:
        await engine.add_rule()
        await engine.runner.open()
        await engine.tell(act(0), act(5, "ended"))
        engine.now = BEGIN + 60
        engine.runner.ring()
        await asyncio.sleep(0.1)
        await engine.until_read()
        kinds = [body.get("kind") for body in await engine.all(MessageRow.body) if body["type"] == "incident"]
        assert kinds == ["started", "ended"]
        assert engine.hub.seq == 4

    run(url, tmp_path, work)


def test_messages_of_an_incident_that_did_not_get_into_the_log_are_published_by_the_next_start(
    tmp_path: Path, url: str
):
    async def work(engine: Engine) -> None:
        await engine.add_rule()
        await engine.runner.open()
        await engine.tell(act(0))
        await engine.runner.close()
        before = (await engine.all(AlertCursorRow.state))[0]
        own = next(body for body in await engine.all(MessageRow.body) if body["type"] == "incident")
        lost = {key: value for key, value in own.items() if key != "seq"}
        await engine.write(update(AlertCursorRow).values(seq=1, state={**before, "unpublished": [lost]}))
        again = AlertRunner(engine.database, engine.hub, lambda: engine.now)
        engine.runner = again
        await again.open()
        await engine.until_read()
        assert engine.hub.seq == 2, "it is there: nothing is published"
        await again.close()
        await engine.write(delete(MessageRow).where(MessageRow.type == "incident"))
        await engine.write(update(AlertCursorRow).values(seq=1, state={**before, "unpublished": [lost]}))
        engine.runner = AlertRunner(engine.database, engine.hub, lambda: engine.now)
        await engine.runner.open()
        await engine.until_read()
        assert engine.hub.seq == 3, "it was not: now it is"

    run(url, tmp_path, work)


def test_time_without_the_service_is_none_in_which_nobody_was_seen(url: str, tmp_path: Path):
    async def crash(engine: Engine) -> None:
        body = {**QUICK, "kind": "absence", "actions": None, "for_s": 300}
        values = {"id": "rul_a", "name": "a", "enabled": True, "body": body, "created_at": 1.0}
        await engine.write(insert(RuleRow).values(**values))
        await engine.runner.open()
        await engine.hub.publish_presence(see(0, 0))
        await engine.until_read()

    async def after(engine: Engine) -> None:
        engine.now = BEGIN + 3600
        await engine.runner.open()
        await engine.until_read()
        await asyncio.sleep(0.1)  # a turn lets the time pass after it has read all
        await engine.until_read()
        assert await engine.all(IncidentRow.id) == []
        engine.now = BEGIN + 3905
        await engine.hub.publish_presence(see(3600, 0))
        await engine.hub.publish_presence(see(3900, 0))
        await engine.until_read()
        assert len(await engine.all(IncidentRow.id)) == 1

    run(url, tmp_path, crash)
    run(url, tmp_path, after)


def test_log_that_was_pruned_before_it_was_read_is_counted_and_said(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
):
    async def work(engine: Engine) -> None:
        await engine.add_rule()
        await engine.runner.open()
        await engine.runner.close()
        for number in range(10):
            await engine.hub.publish_action(act(number, event=f"evt_{number}"))
        await engine.hub.flush()
        await engine.write(delete(MessageRow).where(MessageRow.seq <= 7))
        engine.runner = AlertRunner(engine.database, engine.hub, lambda: engine.now)
        await engine.runner.open()
        await engine.until_read()
        assert engine.counters["alert_messages_missed_total"] == 7
        assert len(await engine.all(IncidentRow.id)) == 1, "the others belong to the same"

    run(url, tmp_path, work)
    assert "7 messages between 0 and 10 are not in the log" in caplog.text


def test_message_that_cannot_be_understood_is_passed_over_and_counted(url: str, tmp_path: Path):
    async def work(engine: Engine) -> None:
        await engine.add_rule()
        await engine.runner.open()
        strange = {key: value for key, value in act(0).items() if key != "zones"}
        await engine.tell({**strange, "clips": {"recent": ["x"]}}, act(1, event="evt_2"))
        assert engine.counters["alert_messages_not_understood_total"] == 1
        assert engine.counters["incidents_total"] == 1

    run(url, tmp_path, work)


def test_sinks_that_are_disabled_or_gone_get_nothing(url: str, tmp_path: Path):
    async def work(engine: Engine) -> None:
        await engine.add_rule()
        await engine.runner.open()
        await engine.tell(act(0), act(1, "ended"))
        assert await engine.all(OutboxRow.id) == [], "there is no such sink"
        sink = {"id": "snk_a", "kind": "webhook", "name": "a", "config": {}, "enabled": True, "created_at": 1.0}
        await engine.write(insert(SinkRow).values(**sink))
        await engine.tell(act(100, event="evt_2"))
        assert await engine.all(OutboxRow.type) == ["incident.started"]
        await engine.write(update(SinkRow).values(enabled=False))
        await engine.tell(act(101, "ended", "evt_2"), act(200, event="evt_3"))
        assert await engine.all(OutboxRow.type) == ["incident.started"]

    run(url, tmp_path, work)


def test_cursor_that_somebody_else_moved_is_noticed_and_read_anew(url: str, tmp_path: Path):
    async def work(engine: Engine) -> None:
        await engine.add_rule()
        await engine.runner.open()
        await engine.tell(act(0))
        (revision,) = await engine.all(AlertCursorRow.revision)
        late = Commit(revision - 1, 0, {}, [{"id": "inc_late"}])
        with pytest.raises(CursorMoved):
            await engine.database.write(lambda session: alert_log.commit(session, late, 0.0))
        await engine.write(update(AlertCursorRow).values(revision=revision + 5))
        await engine.tell(act(2, "ended"))
        engine.now = BEGIN + 60
        await asyncio.sleep(1.2)
        await engine.until_read()
        assert await engine.all(IncidentRow.state) == ["ended"]
        assert len(await engine.all(IncidentRow.id)) == 1

    run(url, tmp_path, work)


def test_row_of_an_incident_is_all_that_is_stored_of_it():
    (started,) = Played(rule(clip=(1.0, 2.0))).take(act(0)).incidents
    columns = {column.name for column in IncidentRow.__table__.columns}
    left = {"snapshot_path", "clip_path", "clip_reason", "kept"}
    assert set(to_row(started)) == columns - left
