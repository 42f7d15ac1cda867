"""What MQTT sinks ask of the database, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.storage import mqtt as table
from service.storage.alert_tables import OutboxRow, RuleRow, SinkRow
from service.storage.database import Database
from service.storage.tables import StreamRow, ZonesRow
from tests.service.storage.conftest import with_database

SINK, OTHER = "snk_1", "snk_2"


def on(url: str, *works: Callable[[Session], Any]) -> list[Any]:
    """→ what each answers, one transaction after the other."""

    async def work(database: Database) -> list[Any]:
        return [await database.write(each) for each in works]

    answers: list[Any] = with_database(url, work)
    return answers


def rows(kind: Any, *values: dict[str, Any]) -> Callable[[Session], Any]:
    return lambda session: session.execute(insert(kind), list(values))


def sink(sink_id: str) -> dict[str, Any]:
    return {"id": sink_id, "kind": "mqtt", "name": "x", "config": {}, "enabled": True, "created_at": 0.0}


def test_published_topics_are_remembered_once_and_forgotten(url):
    many = {f"t/{n}": "str_1" for n in range(1200)}
    *_, first, _, second = on(
        url,
        rows(SinkRow, sink(SINK)),
        lambda s: table.remember(s, SINK, {"a": None, "t/0": "str_1"}),
        lambda s: table.remember(s, SINK, many),
        lambda s: table.remember(s, OTHER, {"b": None}),
        lambda s: table.published(s, SINK),
        lambda s: table.forget(s, SINK, many.keys()),
        lambda s: table.published(s, SINK),
    )
    assert first == {"a": None, **many} and second == {"a": None}


def test_orphans_are_the_topics_of_sinks_that_are_gone(url):
    *_, orphans, _, left, kept = on(
        url,
        rows(SinkRow, sink(SINK)),
        lambda s: table.remember(s, SINK, {"a": None}),
        lambda s: table.remember(s, OTHER, {"a": None, "b": None}),
        table.orphans,
        lambda s: table.forget_orphans(s, ["a", "b"]),
        table.orphans,
        lambda s: table.published(s, SINK),
    )
    assert orphans == {"a", "b"} and left == frozenset() and kept == {"a": None}


def outbox(n: int, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    row = {"sink_id": SINK, "incident_id": "inc_1", "n": n, "type": "incident.updated", "body": body}
    return {**row, "state": "pending", "next_at": 500.0, "created_at": 0.0, **changes}


def test_what_was_told_before_is_the_message_with_the_number_below(url):
    told = [{"at": n} for n in range(3)]
    _, last, first, none = on(
        url,
        rows(OutboxRow, outbox(0, told[0]), outbox(1, told[1]), outbox(2, {"x": 1}, sink_id=OTHER)),
        lambda s: table.told_before(s, SINK, "inc_1", 2),
        lambda s: table.told_before(s, SINK, "inc_1", 1),
        lambda s: table.told_before(s, SINK, "inc_1", 0),
    )
    assert (last, first, none) == (told[1], told[0], None)


def test_only_what_waits_for_the_broker_is_hastened(url):
    waits = [outbox(0, {}), outbox(1, {}, state="dead"), outbox(2, {}, sink_id=OTHER), outbox(3, {}, next_at=5.0)]
    *_, times = on(
        url,
        rows(OutboxRow, *waits),
        lambda s: table.hasten(s, SINK, 100.0),
        lambda s: {row.n: row.next_at for row in s.execute(select(OutboxRow.n, OutboxRow.next_at))},
    )
    assert times == {0: 100.0, 1: 500.0, 2: 500.0, 3: 5.0}


def test_a_snooze_is_of_the_rules_that_watch_the_stream(url):
    rule = {"name": "x", "created_at": 0.0}
    *_, before, _, after, other = on(
        url,
        rows(
            RuleRow,
            {"id": "rul_1", "enabled": True, "body": {"streams": ["str_1"]}, **rule},
            {"id": "rul_2", "enabled": True, "body": {"streams": []}, **rule},
            {"id": "rul_3", "enabled": False, "body": {"streams": ["str_1"]}, **rule},
            {"id": "rul_4", "enabled": True, "body": {"streams": ["str_2"]}, **rule},
        ),
        lambda s: table.snoozes(s, "str_1"),
        lambda s: table.snooze(s, "str_1", 9.0),
        lambda s: table.snoozes(s, "str_1"),
        lambda s: {row.id: row.snoozed_until for row in s.execute(select(RuleRow.id, RuleRow.snoozed_until))},
    )
    assert before == (None, None) and after == (9.0, 9.0) and other["rul_4"] is None


def test_streams_are_named_with_their_zones_and_without_their_urls(url):
    stream = {"id": "str_1", "name": "Yard", "url_sealed": "sealed", "model": "m", "enabled": True, "created_at": 1.0}
    polygon = [[0, 0], [1, 0], [1, 1]]
    *_, names = on(
        url,
        rows(StreamRow, {**stream, "options": {"actions": {"Fighting": 0.5}}}),
        rows(StreamRow, {**stream, "id": "str_2", "options": {}, "created_at": 2.0}),
        rows(ZonesRow, {"stream_id": "str_1", "zones": [{"name": "gate", "polygon": polygon}], "changed_at": 0.0}),
        table.stream_names,
    )
    assert names == (
        table.StreamNames("str_1", "Yard", "m", ("Fighting",), ("gate",), True),
        table.StreamNames("str_2", "Yard", "m", None, (), True),
    )
