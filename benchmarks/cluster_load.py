"""What the leader of a cluster does with 50 nodes and 2,000 cameras, over a real PostgreSQL, without video.

    python benchmarks/cluster_load.py --database postgresql+psycopg://USER@HOST/EMPTY [--nodes 50] [--seconds 30]
        [--cameras 250,500,1000,2000] [--work FOLDER] [--json FILE]

The real leader (placement, intake, hub, store) in a process of its own; real agents (leases, spools), many to a process
with scripted supervisors: each camera says an action's start or end every 10 s and presence every 10 s, and has a
``tracks`` message once a second that nobody looks at, as where no page is open. They are reached by local sockets as
Ray's mailboxes are, without Ray. For each number of cameras: how long it takes to add those that
are new one after the other and then until all are placed, messages stored a second
against those said, CPU of the leader and of all agents together (1: one core), leases that could not be renewed, growth
of the database. Everything shares the cores of one machine, so agents and PostgreSQL take theirs of the same.

The database is emptied: it must be one of its own, of the name given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr
from sqlalchemy import text

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from service.cluster.agent.node import Node  # noqa: E402  # the repository root is on the path only now
from service.cluster.cluster_supervisor import ClusterSupervisor, Reign  # noqa: E402
from service.cluster.links.socket_link import Serving, SocketLink, SocketLinks, SocketServer  # noqa: E402
from service.cluster.strict_hub import StrictHub  # noqa: E402
from service.processes.nodes import Lender  # noqa: E402
from service.prometheus import Measured  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.storage.cluster.leader import Candidate, check_fence, prepare, take_over  # noqa: E402
from service.storage.database import Database, make_engine  # noqa: E402
from service.storage.records import StreamRecord  # noqa: E402
from service.storage.secret_box import SecretBox  # noqa: E402
from service.storage.store import Store  # noqa: E402
from service.stream_state import StreamState  # noqa: E402
from service.supervisor_protocol import Memory, Outlet, StreamStatus  # noqa: E402
from service.wire_messages import rfc3339, to_stream_message  # noqa: E402

PERIOD_S = 10.0  # of actions and of presence
TRACKS_HZ = 1.0
PROCESSES = 4  # that all agents share
PLACED_S = 300.0


class Cameras:
    """A supervisor without cameras: says what real ones say, as often."""

    def __init__(self, settings: Settings, outlet: Outlet, memory: Memory) -> None:
        self.models = type("Models", (), {})()
        self._outlet = outlet
        self._memory = memory
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.ready = True
        self.lends_at = ""

    def use_lenders(self, lenders: tuple[Lender, ...]) -> None: ...

    async def open(self) -> None: ...

    async def close(self) -> None:
        for stream_id in tuple(self._tasks):
            await self.stop(stream_id)

    async def start(self, stream: StreamRecord) -> None:
        await self._outlet.publish_stream(to_stream_message(stream.id, "running", None, ""))
        first = 1 + await self._memory.last_track_id(stream.id)
        self._tasks[stream.id] = asyncio.create_task(self._say(stream.id, first))

    async def stop(self, stream_id: str) -> None:
        task = self._tasks.pop(stream_id, None)
        if task is not None:
            task.cancel()

    async def _say(self, stream_id: str, first: int) -> None:
        await asyncio.sleep((hash(stream_id) % 1000) / 1000 * PERIOD_S)  # not all at once
        step, track = 0, first
        while True:
            if step % int(PERIOD_S * TRACKS_HZ) == 0:
                kind = "ended" if (step // int(PERIOD_S * TRACKS_HZ)) % 2 else "started"
                await self._outlet.publish_action(_action(stream_id, track, kind))
                await self._outlet.publish_presence(_presence(stream_id, track))
                track += kind == "ended"
            await self._outlet.publish_tracks(_tracks(stream_id, track, step))
            step += 1
            await asyncio.sleep(1 / TRACKS_HZ)

    def status(self, stream_id: str) -> StreamStatus:
        return StreamStatus(StreamState.RUNNING, None, "", time.time(), fps_in=25.0, fps_out=25.0)

    def measured(self) -> list[Measured]:
        return []

    def inference_status(self) -> dict[str, Any]:
        return {}

    def budget(self) -> None:
        return None


def _action(stream_id: str, track: int, kind: str) -> dict[str, Any]:
    return {
        "type": "action",
        "event_id": f"evt_{stream_id}_{track}",
        "stream_id": stream_id,
        "track_id": track,
        "action": "Walking",
        "kind": kind,
        "confidence": 0.8,
        "start_s": 1.0,
        "end_s": 11.0 if kind == "ended" else None,
        "captured_at": rfc3339(time.time()),
        "model": "surveillance",
        "zones": [],
        "clips": {"count": 3, "share": 1.0, "recent": [0.8, 0.8, 0.8]},
    }


def _presence(stream_id: str, track: int) -> dict[str, Any]:
    now = rfc3339(time.time())
    return {"type": "presence", "stream_id": stream_id, "captured_at": now, "time_s": 1.0, "people": 1, "zones": {}}


def _tracks(stream_id: str, track: int, step: int) -> dict[str, Any]:
    person = {"track_id": track, "box": [0.1, 0.1, 0.3, 0.8], "state": "confirmed", "action": "Walking"}
    head = {"type": "tracks", "stream_id": stream_id, "frame_index": step, "time_s": step / TRACKS_HZ}
    return {**head, "captured_at": rfc3339(time.time()), "age_ms": 5, "detected": True, "tracks": [person]}


class Sockets:
    """The ways to all agents: one socket each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def to(self, node: str) -> SocketLink:
        return SocketLinks(self._folder / f"{node}.sock").to(node)


# -- the process of the leader


async def lead(url: str, folder: Path) -> None:
    """Each line of standard input is a number of cameras that there shall be; each answer a line of JSON."""
    settings = Settings(data_dir=folder / "api", database_url=SecretStr(url))
    settings.data_dir.mkdir(parents=True)
    engine = make_engine(url)
    opened = Database(url)
    await opened.open()
    await opened.close()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        prepare(connection)
        epoch = take_over(connection, Candidate("leader", "", ""))
    database = Database(url, lambda session: check_fence(session, epoch))
    store = Store(database, SecretBox.open(settings.data_dir), folder / "recordings", messages_keep=10_000_000)
    hub = StrictHub(store)
    await hub.open()

    async def recorded(node: str, told: Mapping[str, Any]) -> None: ...

    supervisor = ClusterSupervisor(settings, hub, store, Reign(epoch, database, Sockets(folder), recorded))
    await supervisor.open()
    print(json.dumps({"epoch": epoch}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await _measure(supervisor, hub, store, *map(float, line.split()))), flush=True)


async def _measure(
    supervisor: ClusterSupervisor, hub: StrictHub, store: Store, cameras: float, seconds: float, nodes: float
) -> dict[str, Any]:
    while len(supervisor.peers) < nodes:
        await asyncio.sleep(0.1)
    begun_s = time.monotonic()
    for number in range(len(supervisor.board.desired), int(cameras)):
        record = StreamRecord(f"str_{number:016d}", "camera", SecretStr("rtsp://127.0.0.1:9/c"), "surveillance")
        await store.add_stream(record)
        await supervisor.start(record)
    added_s = time.monotonic() - begun_s
    while sum(supervisor.board.node_of(one) is not None for one in supervisor.board.desired) < cameras:
        if time.monotonic() - begun_s > PLACED_S:
            raise SystemExit(f"not all placed within {PLACED_S:g} s")
        await asyncio.sleep(0.05)
    placed_s = time.monotonic() - begun_s - added_s
    await asyncio.sleep(PERIOD_S + 2)  # all of them say something by then
    me, before = psutil.Process(), (sum(psutil.Process().cpu_times()[:2]), hub.seq, time.monotonic())
    await asyncio.sleep(seconds)
    took_s = time.monotonic() - before[2]
    refused = sum(peer.intake.refused for peer in supervisor.peers.values())
    held = sum(lease.counts for lease in supervisor.board.leases.values())
    return {
        "cameras": int(cameras),
        "added_s": round(added_s, 2),
        "placed_s": round(placed_s, 2),
        "messages_a_second": round((hub.seq - before[1]) / took_s, 1),
        "waiting": hub.given - hub.seq,
        "leader_cpu": round((sum(me.cpu_times()[:2]) - before[0]) / took_s, 3),
        "leader_mb": round(me.memory_info().rss / 1e6),
        "refused": refused,
        "leases": held,
    }


# -- a process of agents


async def agents(url: str, folder: Path, names: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    nodes = []
    for name in names:
        data = folder / name
        data.mkdir()
        settings = Settings(data_dir=data, database_url=SecretStr(url), node=name, cluster_capacity=1000)
        node = Node(settings, Cameras)  # type: ignore[arg-type] # as far as an agent asks
        await node.open()
        server = SocketServer(folder / f"{name}.sock", _served(node))
        await server.open()
        nodes.append(node)
    await stop.wait()
    lost = sum(node.agent.moves["streams_lost_total"] for node in nodes)
    failed = sum(node.leases.failed for node in nodes)
    waiting = sum(node.spool.rows for node in nodes)
    print(json.dumps({"lost": lost, "renewals_failed": failed, "spooled": waiting}), flush=True)
    os._exit(0)


def _served(node: Node) -> Serving:
    return lambda _, method, __, body: node.desk.answer(method, body)


# -- the whole


def start(role: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--role", role, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def database_bytes(url: str) -> int:
    engine = make_engine(url)
    with engine.connect() as connection:
        size = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    engine.dispose()
    return size


def empty(url: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    empty(options.database)
    leader = start("leader", "--database", options.database, "--work", str(folder))
    answers = leader.stdout
    if answers is None or leader.stdin is None or not answers.readline():
        raise SystemExit("the leader did not begin")
    names = [f"node-{number:02d}" for number in range(options.nodes)]
    share = max(1, -(-len(names) // PROCESSES))
    groups = [names[at : at + share] for at in range(0, len(names), share)]
    nodes = [
        start("agents", "--database", options.database, "--work", str(folder), "--names", ",".join(group))
        for group in groups
    ]
    rows = []
    for cameras in map(int, options.cameras.split(",")):
        size, cpu, begun_s = database_bytes(options.database), agents_cpu(nodes), time.monotonic()
        leader.stdin.write(f"{cameras} {options.seconds} {options.nodes}\n")
        leader.stdin.flush()
        row = json.loads(answers.readline())
        row["agents_cpu"] = round((agents_cpu(nodes) - cpu) / (time.monotonic() - begun_s), 3)
        row["database_mb_added"] = round((database_bytes(options.database) - size) / 1e6, 1)
        row["said_a_second"] = round(2 * cameras / PERIOD_S, 1)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return {"rows": rows, "agents": [ended(node) for node in nodes]} | about(options, leader)


def agents_cpu(nodes: list[subprocess.Popen[str]]) -> float:
    return float(sum(sum(psutil.Process(node.pid).cpu_times()[:2]) for node in nodes))


def ended(node: subprocess.Popen[str]) -> Any:
    node.terminate()
    return json.loads(node.communicate()[0].strip().splitlines()[-1])


def about(options: argparse.Namespace, leader: subprocess.Popen[str]) -> dict[str, Any]:
    leader.kill()
    leader.wait()
    return {
        "nodes": options.nodes,
        "seconds": options.seconds,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


COLUMNS = (
    ("cameras", "cameras"),
    ("added in s", "added_s"),
    ("placed after s", "placed_s"),
    ("said/s", "said_a_second"),
    ("stored/s", "messages_a_second"),
    ("leader CPU", "leader_cpu"),
    ("agents CPU", "agents_cpu"),
    ("leader MB", "leader_mb"),
    ("refused", "refused"),
    ("leases", "leases"),
    ("DB +MB", "database_mb_added"),
)


def table(result: Mapping[str, Any]) -> str:
    lines = ["| " + " | ".join(head for head, _ in COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row[key]) for _, key in COLUMNS) + " |" for row in result["rows"]]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--cameras", default="250,500,1000,2000")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "cluster_load.json")
    parser.add_argument("--role", choices=["leader", "agents"], help=argparse.SUPPRESS)
    parser.add_argument("--names", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "leader":
        asyncio.run(lead(options.database, options.work))
    elif options.role == "agents":
        asyncio.run(agents(options.database, options.work, options.names.split(",")))
    else:
        folder = Path(tempfile.mkdtemp(prefix=f"cluster-{secrets.token_hex(2)}-", dir=options.work))
        result = measure(options, folder)
        print(table(result))
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
