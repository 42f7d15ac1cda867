"""The audit log: what is written, what is only counted, and what happens when the database does not answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from service.access.audit import AuditLog, principal_text
from service.access.audit_words import MAX_TEXT, clean_detail, clean_text
from service.rights import LOCAL, Principal, Role
from service.storage.access.audit import AuditFilter, AuditRecord, list_audit, verify
from service.storage.database import Database, StoreError

ANNA = Principal("user", "usr_0123456789abcdef", "anna", role=Role.ADMIN)
TOKEN = "acto_1a2b3c4d_" + "x" * 43


class Clock:
    def __init__(self) -> None:
        self.now = 1_777_000_000.0

    def __call__(self) -> float:
        return self.now


class Failing(Database):
    """A database of which ``fail`` says whether it answers."""

    fail = False

    async def write(self, work: Callable[[Session], Any]) -> Any:
        if self.fail:
            raise StoreError("database: disk full")
        return await super().write(work)


def with_log(tmp_path: Path, work: Callable[[AuditLog, Clock, Failing], Awaitable[None]]) -> list[AuditRecord]:
    """→ all rows, oldest first, of a chain that holds."""

    async def run() -> list[AuditRecord]:
        database, clock = Failing(f"sqlite:///{tmp_path / 'audit.db'}"), Clock()
        await database.open()
        log = AuditLog(database, clock)
        await work(log, clock, database)
        await log.close()
        assert (await verify(database)).broken_at is None
        rows = (await list_audit(database, AuditFilter(), None, 500)).items
        await database.close()
        return list(reversed(rows))

    return asyncio.run(run())


def test_a_row_says_who_what_where_and_with_what_result(tmp_path: Path):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        await log.record(ANNA, "users:write", "usr_1", detail={"role": "viewer"}, address="192.0.2.7")

    (row,) = with_log(tmp_path, work)
    assert (row.principal, row.action, row.object) == ("user:usr_0123456789abcdef anna", "users:write", "usr_1")
    assert (row.result, row.detail, row.address) == ("ok", {"role": "viewer"}, "192.0.2.7")
    assert row.at == 1_777_000_000.0


def test_rows_of_tasks_at_the_same_time_make_one_chain(tmp_path: Path):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        await asyncio.gather(*(log.record(ANNA, "streams:write", f"str_{n}") for n in range(50)))

    assert len(with_log(tmp_path, work)) == 50


def test_a_result_that_is_none_is_an_error_of_the_program(tmp_path: Path):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        with pytest.raises(ValueError, match="expected a result of ok, refused, failed, got fine"):
            await log.record(ANNA, "login", "anna", "fine")

    assert with_log(tmp_path, work) == []


def test_refusals_that_are_alike_are_one_row_and_a_number(tmp_path: Path):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        for _ in range(1000):
            await log.record(None, "login", "anna", "refused", address="192.0.2.66")
            clock.now += 0.01
        await log.record(None, "login", "anna", "refused", address="192.0.2.67")
        clock.now += 60
        await log.record(ANNA, "login", "anna")

    rows = with_log(tmp_path, work)
    assert [(row.address, row.result, row.detail) for row in rows] == [
        ("192.0.2.66", "refused", {}),
        ("192.0.2.67", "refused", {}),
        ("192.0.2.66", "refused", {"repeated": 999}),
        ("", "ok", {}),
    ]


def test_refusals_of_many_names_do_not_fill_the_disk(tmp_path: Path):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        for n in range(1000):
            await log.record(None, "login", f"name{n}", "refused", address=f"192.0.2.{n % 250}")

    rows = with_log(tmp_path, work)
    assert len(rows) == 102
    assert (rows[-2].object, rows[-2].address) == ("(many)", "(many)")
    assert rows[-1].detail == {"repeated": 899}, "none is left out of the count"


def test_what_was_done_is_never_only_counted(tmp_path: Path):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        for _ in range(5):
            await log.record(ANNA, "streams:write", "str_1")

    assert len(with_log(tmp_path, work)) == 5


def test_parts_of_one_recording_are_one_view(tmp_path: Path):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        for _ in range(30):
            await log.record(ANNA, "media.view", "rec_1")
        await log.record(ANNA, "media.view", "rec_2")

    rows = with_log(tmp_path, work)
    assert [(row.object, row.detail) for row in rows] == [("rec_1", {}), ("rec_2", {}), ("rec_1", {"repeated": 29})]


def test_a_database_that_fails_takes_no_answer_back_and_the_loss_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        await log.record(ANNA, "streams:write", "str_1")
        database.fail = True
        await log.record(ANNA, "streams:write", "str_2")
        await log.record(ANNA, "streams:write", "str_3")
        assert log.measures() == {"counters": {"rows_total": 1, "lost_total": 2}}
        database.fail = False
        await log.record(ANNA, "streams:write", "str_4")
        assert log.measures() == {"counters": {"rows_total": 3, "lost_total": 2}}

    rows = with_log(tmp_path, work)
    assert [(row.action, row.object, row.result) for row in rows] == [
        ("streams:write", "str_1", "ok"),
        ("audit.lost", "audit", "failed"),
        ("streams:write", "str_4", "ok"),
    ]
    assert rows[1].detail == {"rows": 2}
    assert (
        "the audit lost streams:write of user:usr_0123456789abcdef anna (2 lost so far): database: disk" in caplog.text
    )


def test_the_log_names_the_head_once_an_hour(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "service.access.audit")

    async def work(log: AuditLog, clock: Clock, database: Failing) -> None:
        for _ in range(3):
            await log.record(ANNA, "streams:write", "str_1")
            clock.now += 1800

    rows = with_log(tmp_path, work)
    said = [record.getMessage() for record in caplog.records if "its head is" in record.getMessage()]
    assert said == [f"the audit has {n} rows, its head is {rows[n - 1].hash}" for n in (1, 3)]


@pytest.mark.parametrize(
    ("principal", "text"),
    [
        (None, "-"),
        (LOCAL, "local"),
        (ANNA, "user:usr_0123456789abcdef anna"),
        (Principal("token", "1a2b3c4d", "1a2b3c4d"), "token:1a2b3c4d"),
        (Principal("proxy", "bob", "bob"), "proxy:bob"),
    ],
)
def test_principals_in_words(principal: Principal | None, text: str):
    assert principal_text(principal) == text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("anna", "anna"),
        (TOKEN, "acto_1a2b3c4d_***"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_***"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer ***"),
        ("rtsp://viewer:c4n4ry@192.0.2.7/cam", "rtsp://***@192.0.2.7/cam"),
        ("smtp: password=c4n4ry", "smtp: password=***"),
        ("zero\0byte", "zero\\x00byte"),
        ("lone \ud800", "lone \\ud800"),
        ("x" * 1000, "x" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_texts_are_short_and_hold_no_credential(given: str, kept: str):
    assert clean_text(given) == kept


def test_details_are_bounded_and_hold_no_credential():
    given: dict[str, Any] = {
        "password": "c4n4ry",
        "client_secret": 7,
        "api_key": "c4n4ry",
        "token": "c4n4ry",
        "tokens": 3,
        "nan": float("nan"),
        "deep": {"more": {"most": {"too": "deep"}}},
        "list": list(range(30)),
        "bytes": b"\x00",
    }
    kept = clean_detail(given)
    assert [kept[name] for name in ("password", "client_secret", "api_key", "token")] == ["***"] * 4
    assert (kept["tokens"], kept["nan"], kept["deep"]) == (3, "nan", {"more": {"most": "…"}})
    assert kept["list"] == [*range(20), "… 10 more"]
    assert clean_detail({str(n): n for n in range(25)})["…"] == 5
