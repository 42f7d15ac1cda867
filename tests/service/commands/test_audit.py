"""``actoscope audit``: what it says of a chain that holds, and of one that does not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from service.commands.audit.stored import NoDatabase
from service.storage.access.audit import AuditEntry, AuditRecord, append
from service.storage.database import Database
from tests.service.commands.command_line import check_one_line, run, typed


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[AuditRecord]:
    """Three of a service that ran here."""
    monkeypatch.setenv("ACTOSCOPE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()

    async def fill() -> list[AuditRecord]:
        database = Database(f"sqlite:///{tmp_path / 'data' / 'actoscope.db'}")
        await database.open()
        entries = [
            AuditEntry(float(n), "user:usr_1 anna", "192.0.2.7", "streams:write", f"str_{n}", "ok", {"status": 200})
            for n in range(2)
        ]
        entries.append(AuditEntry(2.0, "-", "192.0.2.66", "login", "evil\x1b[2Jname", "refused", {}))
        written = [await append(database, entry) for entry in entries]
        await database.close()
        return written

    return asyncio.run(fill())


def forge(tmp_path: Path, statement: str) -> None:
    with sqlite3.connect(tmp_path / "data" / "actoscope.db") as connection:
        for name in ("audit_no_update", "audit_no_delete"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)


def test_chain_that_holds_ends_well_and_names_its_head(rows: list[AuditRecord], capsys: pytest.CaptureFixture[str]):
    assert typed("audit", "verify") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["the audit holds: 3 rows", f"head: {rows[-1].hash}"]
    assert "--head" in said[2]
    assert typed("audit", "verify", "--head", rows[1].hash.upper()) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_row_that_was_changed_ends_with_1_and_is_named(
    rows: list[AuditRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    forge(tmp_path, "UPDATE audit SET principal = 'local' WHERE id = 2")
    assert typed("audit", "verify") == 1
    assert capsys.readouterr().out.splitlines() == [
        "broken at row 2: row 2 was changed: its hash is not that of its content",
        "rows before it that hold: 1",
    ]


def test_end_that_was_cut_off_is_seen_with_a_kept_head(
    rows: list[AuditRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    forge(tmp_path, "DELETE FROM audit WHERE id = 3")
    assert typed("audit", "verify") == 0
    assert typed("audit", "verify", "--head", rows[-1].hash) == 1
    assert f"no row has the kept head {rows[-1].hash}" in capsys.readouterr().out


def test_list_is_newest_first_and_moves_no_cursor(rows: list[AuditRecord], capsys: pytest.CaptureFixture[str]):
    assert typed("audit", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "3", "2", "1"]
    assert "\x1b" not in "".join(lines) and "evil�[2Jname" in lines[1]


def test_list_is_filtered_and_is_json_where_asked(rows: list[AuditRecord], capsys: pytest.CaptureFixture[str]):
    assert typed("audit", "list", "--json", "--principal", "anna", "--since", "1970-01-01T00:00:01Z") == 0
    (line,) = capsys.readouterr().out.splitlines()
    item = json.loads(line)
    assert (item["object"], item["at"], item["hash"]) == ("str_1", "1970-01-01T00:00:01.000Z", rows[1].hash)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "--head", "abc"), "expected a head as this command prints it, 64 hex digits, got abc"),
        (("list", "--limit", "0"), "expected a number from 1 to 500, got 0"),
        (("list", "--since", "yesterday"), "expected a time such as 2026-05-04T03:02:01Z, got yesterday"),
        (("list", "--since", "2026-05-04T03:02:01"), "expected a time such as"),
    ],
)
def test_words_that_are_none_say_what_is_expected(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        typed("audit", *words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_folder_without_a_database_is_named_and_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACTOSCOPE_DATA_DIR", str(tmp_path))
    with pytest.raises(NoDatabase, match="there is no database in"):
        typed("audit", "verify")
    assert list(tmp_path.iterdir()) == []
    check_one_line(run(tmp_path, "audit", "list"), "there is no database in", "ACTOSCOPE_DATA_DIR")
