"""Clips that another node classifies: bytes, CPU, what the network says of them, and how much later it says it.

    python benchmarks/remote_classification.py [--clips 48 8] [--answers 60] [--parts PART …] [--ray] [--write-docs]

Crops are of the people whom detector and tracker find in samples/street.mp4, once at its own ten pictures a second (26
different crops in one of the full network's clips of 64), once as if a camera of 25 gave them (all 64 differ); every
clip is one that the service would make. For each quality of JPEG: bytes a clip, CPU milliseconds to pack and to unpack,
share of equal first choices and largest difference of a probability between the clip as it is and as it arrives. The
full network, which takes seconds a clip on small machines, sees the quality alone that is used.

Delay, from a clip's offer to its answer: one stream of ``surveillance-light``, clip after clip, at the inference
process of its own machine, and through it at another node's. Both are real processes of this machine, reached over
loopback, so that all share its cores; a network's own delay comes on top. With --ray also how long 500 kB and an answer
take by that connection and as a call of an actor of Ray's, on the same machine.

Prints the tables and writes ``benchmarks/results/remote_classification.json``; with --write-docs they go into
docs/cluster.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

import av  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.document import marks, put_table  # noqa: E402
from models.classifier import ActionClassifier  # noqa: E402
from models.runtimes.host import describe_host  # noqa: E402
from models.weights.cards import read_card  # noqa: E402
from pipeline.clips import ClipBuffer, ClipConfig  # noqa: E402
from pipeline.entities import Clip, Detections, Frame, Image  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from pipeline.tracker import PersonTracker  # noqa: E402
from service.configuration import EngineConfig  # noqa: E402
from service.counters import Measures  # noqa: E402
from service.engine import PeopleFinder, load_people_finder  # noqa: E402
from service.processes.inference_client import InferenceClient  # noqa: E402
from service.processes.inference_messages import Hello  # noqa: E402
from service.processes.ipc import Channel, ChannelClosed  # noqa: E402
from service.processes.lending.clip_jpeg import QUALITY, pack_clip, unpack_clip  # noqa: E402
from service.processes.lending.door import Door, enter  # noqa: E402
from service.processes.lending.node_runner import NodeInferenceRunner  # noqa: E402
from service.processes.messages import InferenceSetup  # noqa: E402
from service.processes.nodes import Borrow, Lender, LendingSetup, NodeInferenceSetup  # noqa: E402
from service.processes.transport import unix_address  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "remote_classification.json"
DOCUMENT = REPOSITORY / "docs" / "cluster.md"
MARKS = marks("benchmarks/remote_classification.py")
STREET = REPOSITORY / "samples" / "street.mp4"
CACHE = REPOSITORY / ".cache" / "benchmarks"
LIGHT, FULL = "surveillance-light", "surveillance"
RATES_HZ = (10, 25)
QUALITIES = (75, 85, 90, 95)
TOKEN = "benchmark" * 8
PAYLOAD = 500_000
CALLS = 100
WARM = 5  # answers that do not count
PARTS = ("rows", "delays", "ways")
T = TypeVar("T")
Film = list[tuple[Image, Detections]]


@dataclass(frozen=True)
class Row:
    """One network, camera and quality. ``raw``, ``bytes``: of a clip, medians; milliseconds of CPU, medians."""

    network: str
    rate_hz: int
    quality: int
    clips: int
    raw: int
    bytes: int
    pack_ms: float
    unpack_ms: float
    equal: float
    largest: float


@dataclass(frozen=True)
class Delay:
    """Milliseconds from offer to answer."""

    where: str
    answers: int
    p50_ms: float
    p95_ms: float


# -- clips of real people


def filmed(people: PeopleFinder) -> Film:
    """→ the sample's pictures with the people in them."""
    with av.open(str(STREET)) as source:
        images = [picture.to_ndarray(format="rgb24") for picture in source.decode(video=0)]
    nowhere = np.zeros((0, 4), np.float32)
    return [(image, people(Frame(image, 0, 0.0, 0.0, 0.0), nowhere)) for image in images]


def clips_of(film: Film, config: ClipConfig, rate_hz: int, count: int) -> list[Clip]:
    """→ ``count`` complete clips, spread over all that the film gives at so many pictures a second."""
    tracker, buffer, found = PersonTracker(), ClipBuffer(config), list[Clip]()
    for index, (image, detections) in enumerate(film):
        frame = Frame(image, index, index / rate_hz, 0.0, 0.0)
        tracks = tracker.update(frame, detections)
        found += [clip for clip in buffer.push(frame, tracks) if not clip.provisional]
    chosen = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).astype(int))
    return [found[index] for index in chosen]


def cpu_ms(work: Callable[[T], object], items: Sequence[T]) -> float:
    """→ the median over the items."""

    def once(item: T) -> float:
        begin = time.process_time()
        work(item)
        return 1000 * (time.process_time() - begin)

    return statistics.median(map(once, items))


def rows_of(name: str, film: Film, count: int, qualities: Sequence[int]) -> Iterator[Row]:
    config = read_card(REPOSITORY / "weights" / name).input.clip_config(16, 12)
    network = ActionClassifier.load(REPOSITORY / "weights" / name, "openvino", cache_dir=CACHE, threads=1)
    for rate_hz in RATES_HZ:
        clips = clips_of(film, config, rate_hz, count)
        before = np.concatenate([network.predict(clip.stack()[None]) for clip in clips])
        for quality in qualities:
            yield row_of(network, clips, before, rate_hz, quality)


def row_of(network: ActionClassifier, clips: Sequence[Clip], before: np.ndarray, rate_hz: int, quality: int) -> Row:
    packed = [pack_clip(clip.crops, quality) for clip in clips]
    arrived = [np.stack(unpack_clip(*each, network.clip_shape)) for each in packed]
    after = np.concatenate([network.predict(each[None]) for each in arrived])
    return Row(
        network=network.card.name,
        rate_hz=rate_hz,
        quality=quality,
        clips=len(clips),
        raw=clips[0].stack().nbytes,
        bytes=round(statistics.median(jpeg.nbytes for _, jpeg in packed)),
        pack_ms=cpu_ms(lambda clip: pack_clip(clip.crops, quality), clips),
        unpack_ms=cpu_ms(lambda each: unpack_clip(*each, network.clip_shape), packed),
        equal=float((before.argmax(1) == after.argmax(1)).mean()),
        largest=float(np.abs(before - after).max()),
    )


# -- delay


def setup_of(folder: Path, lending: LendingSetup) -> NodeInferenceSetup:
    engine = EngineConfig(weights_dir=REPOSITORY / "weights", cache_dir=CACHE, model=LIGHT, runtime="openvino")
    address = unix_address(folder / f"{lending.name}.sock")
    plain = InferenceSetup(log_level="warning", log_format="text", engine=engine, address=address)
    return NodeInferenceSetup.of(plain, lending)


async def delays(folder: Path, clips: Sequence[Clip], answers: int) -> list[Delay]:
    gpu = setup_of(folder, LendingSetup(TOKEN, "lender", "127.0.0.1"))
    yard = setup_of(folder, LendingSetup(TOKEN, "borrower", borrow=Borrow.ALWAYS))
    lender, borrower = NodeInferenceRunner(lambda: gpu), NodeInferenceRunner(lambda: yard)
    try:
        for runner in (lender, borrower):
            runner.start()
            await runner.ready.wait()
        while not lender.lends_at:
            await asyncio.sleep(0.1)
        borrower.use_lenders((Lender("lender", lender.lends_at),))
        return await asyncio.to_thread(in_turn, gpu.address, yard.address, clips, answers)
    finally:
        await asyncio.gather(lender.stop(), borrower.stop())


def in_turn(own: str, other: str, clips: Sequence[Clip], answers: int) -> list[Delay]:
    """One clip here, one there, so that a busy moment of the machine hits both alike. Addresses of workers."""
    plans = {"at its own machine": (own, ""), "at another node": (other, "classified on lender")}
    clients = {where: served(address, plan) for where, (address, plan) in plans.items()}
    took_ms: dict[str, list[float]] = {where: [] for where in clients}
    for number in range(answers + WARM):
        for where, client in clients.items():
            took_ms[where].append(answer_ms(client, clips[number % len(clips)], number))
    for client in clients.values():
        client.close()
    return [
        Delay(where, answers, statistics.median(took[WARM:]), float(np.percentile(took[WARM:], 95)))
        for where, took in took_ms.items()
    ]


def served(address: str, plan: str) -> InferenceClient:
    """``plan``: how the stream's plan begins once it is served as it should be."""
    client = InferenceClient(address, Hello("str_bench", LIGHT), Measures())
    until(lambda: client.connected and client.plan().reason.startswith(plan), "the stream is served")
    return client


def answer_ms(client: InferenceClient, clip: Clip, number: int) -> float:
    """A person of its own each time, so that nothing of the last clip is reused."""
    begin = time.perf_counter()
    client.submit(Clip(number, clip.crops, 0.0, 1.0, 0.0, time.monotonic(), clip.filled, model=LIGHT))
    while not client.take():
        if time.perf_counter() - begin > 60:
            raise TimeoutError("no answer within a minute")
        time.sleep(0.0005)
    took_ms = 1000 * (time.perf_counter() - begin)
    client.forget(number)
    return took_ms


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within two minutes: {what}")
        time.sleep(0.05)


# -- the way there


@contextmanager
def echoing() -> Iterator[Channel]:
    """→ a channel to somebody who answers each message with a small one."""
    door = Door("127.0.0.1", TOKEN)
    threading.Thread(target=door.run, args=(echo,), daemon=True).start()
    channel = enter(door.address, TOKEN)
    try:
        yield channel
    finally:
        channel.close()
        door.close()


def echo(channel: Channel) -> None:
    try:
        while True:
            channel.receive()
            channel.send("done")
    except ChannelClosed:
        channel.close()


def socket_ms() -> list[float]:
    payload = np.zeros(PAYLOAD, np.uint8)

    def once() -> None:
        channel.send("clip", {}, {"jpeg": payload})
        channel.receive()

    with echoing() as channel:
        return [once_ms(once) for _ in range(CALLS)]


def once_ms(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin)


RAY = f"""
import json, sys, time, ray
ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")

@ray.remote(num_cpus=0)
class Classifier:
    async def classify(self, clip):
        return b"done"

there, payload, took = Classifier.remote(), bytes({PAYLOAD}), []
ray.get(there.classify.remote(payload))
for _ in range({CALLS}):
    begin = time.perf_counter()
    ray.get(there.classify.remote(payload))
    took.append(1000 * (time.perf_counter() - begin))
print(json.dumps(took))
"""


def ray_ms() -> list[float]:
    with tempfile.NamedTemporaryFile("w") as token:  # else it makes one in the home folder
        token.write(TOKEN)
        token.flush()
        own = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token.name}
        command, environment = [sys.executable, "-c", RAY], {**os.environ, **own}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    return list(map(float, json.loads(done.stdout.strip().splitlines()[-1])))


def ways(with_ray: bool) -> dict[str, dict[str, float]]:
    measured = {"connection": socket_ms(), **({"ray": ray_ms()} if with_ray else {})}
    return {
        name: {"p50_ms": statistics.median(took), "p95_ms": float(np.percentile(took, 95))}
        for name, took in measured.items()
    }


# -- what is told


def tables(content: Mapping[str, Any]) -> str:
    rows, late = [Row(**row) for row in content["rows"]], [Delay(**row) for row in content["delays"]]
    lines = [
        f"`python benchmarks/remote_classification.py --ray`, {content['host']}. CPU milliseconds a clip; share of",
        "equal first choices and largest difference of a probability between clips of real people as they are and as",
        f"they arrive. Delays beside other work, a load of {content['load']} on these cores, which both nodes share.",
        "",
        "| network | pictures a second | quality | clips | raw kB | JPEG kB | pack ms | unpack ms | equal | largest |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.network} | {row.rate_hz} | {row.quality}{', used' if row.quality == QUALITY else ''} "
        f"| {row.clips} | {row.raw / 1000:.0f} | {row.bytes / 1000:.0f} "
        f"| {row.pack_ms:.0f} | {row.unpack_ms:.0f} | {row.equal:.3f} | {row.largest:.3f} |"
        for row in rows
    ]
    lines += ["", f"| offer → answer, {LIGHT} | answers | p50 ms | p95 ms |", "|---|---|---|---|"]
    lines += [f"| {each.where} | {each.answers} | {each.p50_ms:.0f} | {each.p95_ms:.0f} |" for each in late]
    lines += ["", f"| {PAYLOAD // 1000} kB there, an answer back | p50 ms | p95 ms |", "|---|---|---|"]
    names = {"connection": "by the nodes' own connection", "ray": "as a call of an actor of Ray's"}
    lines += [
        f"| {names[name]} | {each['p50_ms']:.1f} | {each['p95_ms']:.1f} |" for name, each in content["ways"].items()
    ]
    return "\n".join(lines) + "\n"


def measured(arguments: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """→ the parts that are asked for, each as it is kept, one after the other."""
    if set(arguments.parts) & {"rows", "delays"}:
        film = filmed(load_people_finder(EngineConfig(weights_dir=REPOSITORY / "weights", cache_dir=CACHE, threads=1)))
    if "rows" in arguments.parts:
        light = rows_of(LIGHT, film, arguments.clips[0], QUALITIES)
        full = rows_of(FULL, film, arguments.clips[1], (QUALITY,))
        yield "rows", [asdict(row) for row in (*light, *full)]
    if "delays" in arguments.parts:
        config = read_card(REPOSITORY / "weights" / LIGHT).input.clip_config(16, 12)
        clips = clips_of(film, config, RATES_HZ[-1], arguments.clips[0])
        with tempfile.TemporaryDirectory() as folder:
            yield "load", round(os.getloadavg()[0])
            yield "delays", list(map(asdict, asyncio.run(delays(Path(folder), clips, arguments.answers))))
    if "ways" in arguments.parts:
        yield "ways", ways(arguments.ray)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs=2, default=[48, 8], help="for each camera: light network, full one")
    parser.add_argument("--answers", type=int, default=60)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="the others stay as they were measured"
    )
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    content = {**kept, "host": describe_host()}
    for part, found in measured(arguments):
        content[part] = found
        write_atomically(RESULTS, json.dumps(content, indent=1) + "\n")
    table = tables(content)
    print(table)
    if arguments.write_docs:
        put_table(DOCUMENT, table, MARKS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
