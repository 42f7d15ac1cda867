"""What a standby reads of streams: all of the log once, then what is new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import delete, text

from service.storage.cluster.states import Told, told_by
from service.storage.database import Database
from service.storage.records import StreamRecord
from service.storage.secret_box import SecretBox
from service.storage.store import Store
from service.storage.tables import MessageRow, StreamRow
from tests.service.storage.conftest import with_database

GATE, YARD = "str_0000000000000001", "str_0000000000000002"


def message(seq: int, stream_id: str, state: str, kind: str = "stream") -> dict[str, Any]:
    about = {"state": state, "code": None, "reason": ""} if kind == "stream" else {"people": 1}
    at = {"at": "2026-05-04T03:02:01.000Z", "captured_at": "2026-05-04T03:02:01.000Z"}
    return {"type": kind, "stream_id": stream_id, "seq": seq, **about, **at}


def states(told: Told) -> dict[str, str]:
    return {stream_id: body["state"] for stream_id, body in told.states.items()}


def test_what_is_new_is_added_and_what_is_gone_goes(cluster_url: str, tmp_path: Path):
    async def work(database: Database) -> None:
        store = Store(database, SecretBox.open(tmp_path), tmp_path)
        for one in (GATE, YARD):
            await store.add_stream(StreamRecord(one, one, SecretStr("rtsp://127.0.0.1:9/cam"), "surveillance"))
        await store.append([message(1, GATE, "connecting"), message(2, GATE, "running"), message(3, YARD, "running")])
        first = await database.read(lambda session: told_by(session, Told()))
        assert (first.upto, states(first)) == (3, {GATE: "running", YARD: "running"})
        # What was read is not read again: rows that are taken away from under it are still known.
        await database.write(lambda session: session.execute(delete(MessageRow).where(MessageRow.seq <= 2)))
        await store.append([message(4, GATE, "", "presence"), message(5, YARD, "failed")])
        second = await database.read(lambda session: told_by(session, first))
        assert (second.upto, states(second)) == (5, {GATE: "running", YARD: "failed"})
        await database.write(lambda session: session.execute(delete(StreamRow).where(StreamRow.id == GATE)))
        third = await database.read(lambda session: told_by(session, second))
        assert states(third) == {YARD: "failed"}

    with_database(cluster_url, work)


def test_a_log_that_was_put_back_is_read_anew(cluster_url: str, tmp_path: Path):
    async def work(database: Database) -> None:
        store = Store(database, SecretBox.open(tmp_path), tmp_path)
        await store.add_stream(StreamRecord(GATE, GATE, SecretStr("rtsp://127.0.0.1:9/cam"), "surveillance"))
        await store.append([message(1, GATE, "running"), message(9, GATE, "failed")])
        first = await database.read(lambda session: told_by(session, Told()))
        await database.write(lambda session: session.execute(text("DELETE FROM messages WHERE seq > 1")))
        second = await database.read(lambda session: told_by(session, first))
        assert (second.upto, states(second)) == (1, {GATE: "running"})

    with_database(cluster_url, work)
