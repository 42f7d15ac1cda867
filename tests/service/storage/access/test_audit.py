"""The audit's chain on SQLite and PostgreSQL: what it shows, and what it cannot."""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from service.storage.access.audit import (
    FIRST,
    AuditEntry,
    AuditFilter,
    AuditRecord,
    append,
    link_hash,
    list_audit,
    verify,
)
from service.storage.database import Database, StoreError
from service.storage.records import Cursor
from tests.service.storage.conftest import with_database

ENTRY = AuditEntry(
    at=1_777_000_000.123456,
    principal="user:usr_0123456789abcdef Änne",
    address="192.0.2.7",
    action="streams:write",
    object="str_0123456789abcdef",
    result="ok",
    detail={"method": "PATCH", "ratio": 0.1, "list": [1, None, True], "word": "Tür"},
)


async def fill(database: Database, rows: int = 5) -> list[AuditRecord]:
    return [await append(database, replace(ENTRY, at=ENTRY.at + n, object=f"str_{n}")) for n in range(rows)]


async def forge(database: Database, statement: str) -> None:
    """What somebody with the database's own tools can do: take the triggers away, change, put them back or not."""

    def work(session: Session) -> None:
        if session.get_bind().dialect.name == "sqlite":
            for name in ("audit_no_update", "audit_no_delete"):
                session.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        else:
            session.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        session.execute(text(statement))

    await database.write(work)


def test_rows_follow_each_other_without_a_gap_and_come_back_as_they_were_written(url: str):
    async def work(database: Database) -> None:
        written = await fill(database)
        assert [row.id for row in written] == [1, 2, 3, 4, 5]
        assert [row.previous for row in written] == [FIRST, *(row.hash for row in written[:-1])]
        page = await list_audit(database, AuditFilter(), None, 10)
        assert (page.items, page.next_cursor) == (tuple(reversed(written)), None)
        verdict = await verify(database)
        assert (verdict.rows, verdict.head, verdict.broken_at) == (5, written[-1].hash, None)

    with_database(url, work)


def test_the_hash_is_that_of_the_documented_form():
    """So that anybody can check a chain without this program."""
    canonical = (
        '[7,1777000000.123456,"user:usr_0123456789abcdef \\u00c4nne","192.0.2.7","streams:write",'
        '"str_0123456789abcdef","ok",{"list":[1,null,true],"method":"PATCH","ratio":0.1,"word":"T\\u00fcr"},'
        f'"{FIRST}"]'
    )
    assert link_hash(7, ENTRY, FIRST) == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize("statement", ["UPDATE audit SET result = 'ok'", "DELETE FROM audit WHERE id = 5"])
def test_the_database_refuses_to_change_or_delete_rows(url: str, statement: str):
    async def work(database: Database) -> None:
        await fill(database)
        with pytest.raises(StoreError, match="the audit is append only"):
            await database.write(lambda session: session.execute(text(statement)))
        assert (await verify(database)).rows == 5

    with_database(url, work)


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ("UPDATE audit SET principal = 'local' WHERE id = 3", 3, "row 3 was changed"),
        ("UPDATE audit SET at = at + 0.001 WHERE id = 1", 1, "row 1 was changed"),
        ("UPDATE audit SET detail = '{}' WHERE id = 5", 5, "row 5 was changed"),
        ("DELETE FROM audit WHERE id = 2", 3, "a gap: expected row 2, got row 3"),
        ("DELETE FROM audit WHERE id = 1", 2, "a gap: expected row 1, got row 2"),
        (f"UPDATE audit SET previous = '{FIRST}' WHERE id = 4", 4, "row 4 does not follow row 3"),
    ],
)
def test_what_was_changed_or_taken_out_is_named(url: str, statement: str, broken_at: int, reason: str):
    async def work(database: Database) -> None:
        await fill(database)
        await forge(database, statement)
        verdict = await verify(database)
        assert verdict.broken_at == broken_at
        assert verdict.reason.startswith(reason)

    with_database(url, work)


def test_an_end_that_was_cut_off_is_seen_by_a_kept_head_only(url: str):
    async def work(database: Database) -> None:
        written = await fill(database)
        kept = written[3].hash
        assert (await verify(database, kept)).broken_at is None
        await forge(database, "DELETE FROM audit WHERE id >= 4")
        assert (await verify(database)).broken_at is None, "a chain alone cannot know how long it was"
        verdict = await verify(database, kept)
        assert verdict.broken_at == 4
        assert kept in verdict.reason and "cut off" in verdict.reason

    with_database(url, work)


def test_a_chain_written_anew_has_no_kept_head(url: str):
    async def work(database: Database) -> None:
        written = await fill(database)
        await forge(database, "DELETE FROM audit")
        await fill(database, 4)
        await append(database, replace(ENTRY, object="another"))
        assert (await verify(database)).broken_at is None
        assert (await verify(database, written[-1].hash)).broken_at == 6

    with_database(url, work)


def test_more_rows_than_are_read_at_once_are_verified(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.storage.access.audit._CHUNK", 3)

    async def work(database: Database) -> None:
        written = await fill(database, 10)
        assert (await verify(database)).head == written[-1].hash
        await forge(database, "UPDATE audit SET object = 'x' WHERE id = 7")
        assert (await verify(database)).broken_at == 7

    with_database(f"sqlite:///{tmp_path / 'audit.db'}", work)


def test_several_writers_make_one_chain(url: str):
    """The service and a command on the same database: who finds its number taken takes the next one."""

    async def write(database: Database, name: str) -> None:
        for n in range(12):
            await append(database, replace(ENTRY, principal=name, object=str(n)))

    async def run() -> Any:
        databases = [Database(url), Database(url)]
        await databases[0].open()
        await asyncio.gather(*(write(database, f"user:{n}") for n, database in enumerate(databases)))
        verdict = await verify(databases[0])
        for database in databases:
            await database.close()
        return verdict

    verdict = asyncio.run(run())
    assert (verdict.rows, verdict.broken_at) == (24, None)


@pytest.mark.parametrize(
    ("wanted", "objects"),
    [
        (AuditFilter(), ["3", "2", "1", "0"]),
        (AuditFilter(principals=["anna"]), ["1", "0"]),
        (AuditFilter(principals=["usr_1"]), ["1", "0"]),
        (AuditFilter(principals=["user:usr_1"]), ["1", "0"]),
        (AuditFilter(principals=["user:usr_1 anna"]), ["1", "0"]),
        (AuditFilter(principals=["ann"]), []),
        (AuditFilter(principals=["%"]), []),
        (AuditFilter(principals=["1a2b3c4d", "local"]), ["3", "2"]),
        (AuditFilter(actions=["login"]), ["3", "0"]),
        (AuditFilter(results=["refused"]), ["3"]),
        (AuditFilter(since=1.0, until=3.0), ["2", "1"]),
    ],
)
def test_filters(url: str, wanted: AuditFilter, objects: list[str]):
    rows: list[dict[str, Any]] = [
        {"principal": "user:usr_1 anna", "action": "login"},
        {"principal": "user:usr_1 anna", "action": "streams:write"},
        {"principal": "token:1a2b3c4d", "action": "token.use"},
        {"principal": "local", "action": "login", "result": "refused"},
    ]

    async def work(database: Database) -> None:
        for n, row in enumerate(rows):
            await append(database, replace(ENTRY, at=float(n), object=str(n), **row))
        page = await list_audit(database, wanted, None, 10)
        assert [row.object for row in page.items] == objects

    with_database(url, work)


def test_pages_follow_each_other_while_rows_arrive(url: str):
    async def work(database: Database) -> None:
        await fill(database, 5)
        first = await list_audit(database, AuditFilter(), None, 2)
        await append(database, ENTRY)
        assert first.next_cursor is not None
        second = await list_audit(database, AuditFilter(), Cursor.decode(first.next_cursor), 3)
        assert [row.id for row in (*first.items, *second.items)] == [5, 4, 3, 2, 1]
        assert second.next_cursor is None

    with_database(url, work)


@pytest.mark.parametrize("row_id", ["str_1", "-1", "", "9" * 30, "²"])
def test_a_cursor_of_another_list_is_refused(url: str, row_id: str):
    async def work(database: Database) -> None:
        with pytest.raises(ValueError, match="expected a next_cursor"):
            await list_audit(database, AuditFilter(), Cursor(1.0, row_id), 2)

    with_database(url, work)
