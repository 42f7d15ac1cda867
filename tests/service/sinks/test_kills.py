"""Workers that are killed at any moment: every message arrives, in order within its incident, by an id that stays."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from service.storage import outbox
from service.storage.database import Database
from service.storage.outbox import NewMessage
from service.storage.secret_box import SecretBox
from service.storage.sinks import SinkStore
from tests.service.sinks.conftest import KEY, SINK, webhook_record
from tests.service.sinks.outbox_worker import start_worker
from tests.support.receiver import OK, Received, Receiver, Reply
from tests.support.service import wait_for

INCIDENTS = 12
BACKLOG = 50  # messages that wait, about


class Feed:
    """Enqueues messages all the while, as rules would; remembers what was committed."""

    def __init__(self, url: str, folder: Path, receiver: Receiver) -> None:
        self.url, self.folder, self.receiver = url, folder, receiver
        self.enqueued: list[tuple[str, int]] = []  # (incident, n)
        self.ids: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Feed:
        asyncio.run(self._prepare())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _prepare(self) -> None:
        database = Database(self.url)
        await database.open()
        await SinkStore(database, SecretBox.open(self.folder)).add(webhook_record(self.receiver.url()), 1)
        await database.close()

    async def _run(self) -> None:
        database = Database(self.url)
        for number in itertools.count():
            if self._stop.is_set():
                break
            incident, n = f"inc_{number % INCIDENTS}", number // INCIDENTS + 1
            message = NewMessage(SINK, "incident.updated", {"n": n}, incident, n=n)
            put = lambda session, message=message: outbox.enqueue(session, message, time.time())  # noqa: E731
            self.ids.append(await database.write(put))
            self.enqueued.append((incident, n))
            await asyncio.sleep(0.01)
            while len(self.ids) - len(self.receiver.received) > BACKLOG and not self._stop.is_set():
                await asyncio.sleep(0.01)
        await database.close()


def unsteady(chance: random.Random) -> Any:
    """A receiver that is sometimes slow, so that kills meet requests under way."""

    def reply(_: Received) -> Reply:
        if chance.random() < 0.1:
            time.sleep(chance.uniform(0, 0.03))
        return OK

    return reply


def check(feed: Feed, receiver: Receiver) -> None:
    first: dict[str, Received] = {}
    for received in receiver.received:
        if received.id in first:
            assert first[received.id].body == received.body  # a repetition says the same
        first.setdefault(received.id, received)
    assert set(first) == {f"msg_{row_id}" for row_id in feed.ids}
    place = dict(zip((f"msg_{row_id}" for row_id in feed.ids), feed.enqueued, strict=True))
    by_incident: dict[str, list[int]] = defaultdict(list)
    for message_id, received in first.items():  # in the order of arrival
        incident, n = place[message_id]
        assert json.loads(received.body)["data"] == {"n": n}
        by_incident[incident].append(n)
    for numbers in by_incident.values():
        assert numbers == list(range(1, len(numbers) + 1))
    newest = list(first.values())[-1]
    standardwebhooks.Webhook(KEY.secret).verify(newest.body, dict(newest.headers))


@pytest.mark.slow
@pytest.mark.parametrize("count", [15, pytest.param(50, marks=pytest.mark.exhaustive)])
def test_kills_lose_and_reorder_nothing(tmp_path: Path, count: int):
    chance = random.Random(50)
    url = f"sqlite:///{tmp_path / 'actoscope.db'}"
    kills = 0
    with Receiver(unsteady(random.Random(1))) as receiver, Feed(url, tmp_path, receiver) as feed:
        while kills < count:
            worker, before = start_worker(url, tmp_path, sole=True, lease_s=60.0), len(receiver.received)
            wait_for_any(lambda before=before: len(receiver.received) > before)
            time.sleep(chance.uniform(0, 0.1))
            worker.kill()
            worker.join()
            kills += 1
        feed.stop()
        last = start_worker(url, tmp_path, sole=True, lease_s=60.0)
        wait_for(lambda: len({each.id for each in receiver.received}) == len(feed.ids), 30, "all messages")
        last.kill()
        last.join()
        check(feed, receiver)
    assert len(receiver.received) >= len(feed.ids) > 50


def test_two_workers_on_postgresql_that_are_killed_in_turns_lose_and_reorder_nothing(
    postgres_url: str, url: str, tmp_path: Path
):
    if not url.startswith("postgresql"):
        pytest.skip("SQLite has one worker")
    chance = random.Random(2)
    with Receiver(unsteady(random.Random(2))) as receiver, Feed(url, tmp_path, receiver) as feed:
        workers = [start_worker(url, tmp_path, sole=False, lease_s=1.0) for _ in range(2)]
        for turn in range(10):
            before = len(receiver.received)
            wait_for_any(lambda before=before: len(receiver.received) > before)
            time.sleep(chance.uniform(0, 0.1))
            workers[turn % 2].kill()
            workers[turn % 2].join()
            workers[turn % 2] = start_worker(url, tmp_path, sole=False, lease_s=1.0)
        feed.stop()
        wait_for(lambda: len({each.id for each in receiver.received}) == len(feed.ids), 30, "all messages")
        for worker in workers:
            worker.kill()
            worker.join()
        check(feed, receiver)


def wait_for_any(condition: Any) -> None:
    """As ``wait_for``, but looks often: the kill is to come at any moment, not at a tenth of a second."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "a worker delivered nothing within 20 s"
        time.sleep(0.002)
