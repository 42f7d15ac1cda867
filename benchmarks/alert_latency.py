"""How long a message takes to its receiver: from the outbox, and from the action that a rule looks for.

    python benchmarks/alert_latency.py [--messages 300] [--burst 10] [--database-url postgresql://…]

A webhook of this machine, the real outbox, dispatcher and signing; messages at moments of chance (a tenth of a second
to half a second apart, each of another incident), and bursts of several at once.

*bell*: whoever enqueues rings the dispatcher, as the engine does in the service's process. *poll*: nobody rings, as
where another process enqueues. The time runs from the commit of the outbox row until the receiver has read the whole
request. *engine*: an action message is published in the hub; the log, a rule, the engine, the outbox and the dispatcher
follow. The time runs from the call of the hub until ``incident.started`` was read.

Prints a table and writes ``benchmarks/results/alert_latency.json``. Goal: p95 of *bell* and *engine* within a second.
"""

from __future__ import annotations

import argparse
import asyncio
import http.server
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from pydantic import SecretStr  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

from models.runtimes.host import describe_host  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from service.alerts.runner import AlertRunner  # noqa: E402
from service.hub import Hub  # noqa: E402
from service.ids import new_id  # noqa: E402
from service.routes.alert_bodies import RuleBody  # noqa: E402
from service.sinks import signing  # noqa: E402
from service.sinks.addresses import Gate  # noqa: E402
from service.sinks.configs import WebhookConfig, load, split  # noqa: E402
from service.sinks.dispatcher import Dispatcher  # noqa: E402
from service.sinks.sender import Sender, SenderContext  # noqa: E402
from service.sinks.senders import Senders  # noqa: E402
from service.sinks.webhook import WebhookSender  # noqa: E402
from service.storage import outbox  # noqa: E402
from service.storage.database import Database  # noqa: E402
from service.storage.outbox import NewMessage  # noqa: E402
from service.storage.rules import RuleRecord, RuleStore  # noqa: E402
from service.storage.secret_box import SecretBox  # noqa: E402
from service.storage.sinks import SinkRecord, SinkStore  # noqa: E402
from service.storage.store import Store  # noqa: E402
from service.wire_messages import rfc3339  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "alert_latency.json"
PAUSE_S = (0.1, 0.5)
PATIENCE_S = 30.0
GOAL_P95_S = 1.0
BODY = {"rule_name": "Fight at the gate", "action": "Fighting", "severity": "alert", "tracks": [3, 7], "zone": "gate"}


@dataclass(frozen=True)
class Row:
    """Milliseconds of one way of enqueuing."""

    way: str
    messages: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Receiver:
    """Notes when each message was there: ``at`` by id, ``started_at`` by the track that an incident began with."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.started_at: dict[int, float] = {}
        at, started_at = self.at, self.started_at

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                now_s = time.monotonic()
                at.setdefault(self.headers["webhook-id"], now_s)
                self.send_response(204)
                self.end_headers()
                message = json.loads(body)
                if message["type"] == "incident.started":
                    for track_id in message["data"]["incident"]["tracks"]:
                        started_at.setdefault(track_id, now_s)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def webhook(record: SinkRecord, _: SenderContext) -> Sender:
    config = load(record)
    if not isinstance(config, WebhookConfig):
        raise ValueError(f"expected a webhook, got {record.kind}")
    return WebhookSender(config, signing.from_plain(record.secrets["signing"]), Gate(["127.0.0.1"]))


async def measure(folder: Path, url: str, messages: int, burst: int) -> list[Row]:
    receiver, database = Receiver(), Database(url)
    store = Store(database, SecretBox.open(folder), folder / "recordings")
    await store.open()
    plain, secrets = split(WebhookConfig(url=SecretStr(receiver.url)))
    secrets["signing"] = signing.to_plain([signing.new_key()])
    sinks = SinkStore(database, SecretBox.open(folder))
    sink = SinkRecord(new_id("snk"), "webhook", "benchmark", plain, secrets, created_at=time.time())
    await sinks.add(sink, 10_000)
    context: Any = None
    dispatcher = Dispatcher(database, Senders(sinks, context, {"webhook": webhook}))
    await dispatcher.open()
    try:
        rows = []
        for way, size, count in (("bell", 1, messages), ("bell, bursts", burst, messages), ("poll", 1, messages // 3)):
            took = await send(database, dispatcher, receiver, sink.id, (count, size, way != "poll"))
            rows.append(row(way if size == 1 else f"bell, {size} at once", took))
        for size in (1, burst):
            took = await through_engine((database, store), dispatcher, receiver, sink.id, (messages, size))
            rows.append(row("engine" if size == 1 else f"engine, {size} at once", took))
        return rows
    finally:
        await sinks.delete(sink.id)
        await dispatcher.close()
        await store.close()
        receiver.close()


async def send(
    database: Database, dispatcher: Dispatcher, receiver: Receiver, sink_id: str, plan: tuple[int, int, bool]
) -> list[float]:
    """→ seconds of each message."""
    count, size, ring = plan
    committed: dict[str, float] = {}
    for _ in range(max(1, count // size)):
        await asyncio.sleep(random.uniform(*PAUSE_S))
        batch = [NewMessage(sink_id, "incident.started", {"incident": BODY}, new_id("inc"), n=1) for _ in range(size)]
        ids = await database.write(partial(enqueue, batch))
        committed |= dict.fromkeys((f"msg_{row_id}" for row_id in ids), time.monotonic())
        if ring:
            dispatcher.ring()
    await until_there(committed.keys(), receiver.at)
    return [max(0.0, receiver.at[name] - at) for name, at in committed.items()]


async def through_engine(
    kept: tuple[Database, Store], dispatcher: Dispatcher, receiver: Receiver, sink_id: str, plan: tuple[int, int]
) -> list[float]:
    """→ seconds of each incident. Its action ends before the next of the same stream begins."""
    (count, size), (database, store) = plan, kept
    hub, rules = Hub(store), RuleStore(database)
    body = RuleBody(name="benchmark", actions={"Fighting": 0.8}, group_s=0, cooldown_s=0, sinks=[sink_id])
    record = RuleRecord(new_id("rul"), body.name, body.stored(), created_at=time.time())
    await rules.add(record, 10_000)
    await hub.open()
    runner = AlertRunner(database, hub)
    runner.on_outbox.append(dispatcher.ring)
    await runner.open()
    receiver.started_at.clear()
    published: dict[int, float] = {}
    try:
        for batch in range(max(1, count // size)):
            await asyncio.sleep(random.uniform(*PAUSE_S))
            tracks = range(batch * size, (batch + 1) * size)
            for track_id in tracks:
                published[track_id] = time.monotonic()
                await hub.publish_action(action(track_id, size, "started"))
            await until_there(published.keys(), receiver.started_at)
            for track_id in tracks:
                await hub.publish_action(action(track_id, size, "ended"))
        while runner.seq < hub.seq or runner.measures()["gauges"]["incidents_open"]:
            await asyncio.sleep(0.01)
    finally:
        await runner.close()
        await hub.close()
        await rules.delete(record.id)
    return [max(0.0, receiver.started_at[track_id] - at) for track_id, at in published.items()]


def action(track_id: int, streams: int, kind: str) -> dict[str, Any]:
    """As a stream process sends it; so many streams take turns."""
    return {
        "type": "action",
        "event_id": f"evt_{track_id}_{streams}",
        "stream_id": f"str_{track_id % streams:016x}",
        "track_id": track_id,
        "action": "Fighting",
        "kind": kind,
        "confidence": 0.9,
        "start_s": 1.0,
        "end_s": 2.0 if kind == "ended" else None,
        "captured_at": rfc3339(time.time()),
        "model": "surveillance",
        "zones": [],
        "clips": None,
    }


async def until_there(wanted: Collection[Any], there: Collection[Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while missing := [each for each in wanted if each not in there]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(missing)} messages did not arrive")
        await asyncio.sleep(0.01)


def enqueue(batch: Sequence[NewMessage], session: Session) -> list[int]:
    return [outbox.enqueue(session, message, time.time()) for message in batch]


def row(way: str, took_s: list[float]) -> Row:
    cuts = statistics.quantiles(took_s, n=100, method="inclusive")
    values = (cuts[49], cuts[94], cuts[98], max(took_s))
    return Row(way, len(took_s), *(round(1000 * each, 1) for each in values))


def table(rows: list[Row]) -> str:
    lines = ["| way | messages | p50 ms | p95 ms | p99 ms | max ms |", "|---|---|---|---|---|---|"]
    lines += [f"| {r.way} | {r.messages} | {r.p50_ms} | {r.p95_ms} | {r.p99_ms} | {r.max_ms} |" for r in rows]
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=300, help="of each way (default: %(default)s)")
    parser.add_argument("--burst", type=int, default=10, help="messages at once (default: %(default)s)")
    parser.add_argument("--database-url", help="default: SQLite in a folder of its own")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.messages < 10 or options.burst < 2:
        parser.error("expected at least 10 messages and bursts of at least 2")
    return options


def main(arguments: list[str] | None = None) -> int:
    """→ 1 where the goal is missed."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="actoscope-") as name:
        url = options.database_url or f"sqlite:///{Path(name) / 'actoscope.db'}"
        rows = asyncio.run(measure(Path(name), url, options.messages, options.burst))
    print(table(rows))
    content = {"host": describe_host(), "database": url.partition(":")[0], "rows": [asdict(each) for each in rows]}
    write_atomically(options.results, json.dumps(content, indent=2) + "\n")
    met = all(each.p95_ms <= 1000 * GOAL_P95_S for each in rows if each.way in ("bell", "engine"))
    print(f"p95 within {GOAL_P95_S:g} s: {'yes' if met else 'NO'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
