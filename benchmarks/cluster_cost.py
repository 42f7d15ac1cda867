"""What a cluster costs beside one machine: CPU per analysed frame, and the age of labels where they are read.

    python benchmarks/cluster_cost.py [--scenes sample people-4] [--runs 2] [--pairs 8] [--seconds 10] [--write-docs]

The same cameras under the same light network, in turns: a service of one machine over SQLite; and a leader with one
node over PostgreSQL and Ray, all of it on this machine. Both services run all the time; in each turn one of them gets
the cameras, and once labels have come and a few seconds more, it is measured. Pairs begin with the one and the other in
turns, so that both meet the same machine. Scenes: the bundled sample at its own pace (10 small pictures a second), and
those of benchmarks/live.py: 1280×720 at 25 a second with about so many people.

CPU is that of all processes of the service, with Ray's and PostgreSQL's, while the cameras run. A frame counts once it
went through all stages. The age of a label is what passed from the capture of its clip's newest frame until it was
there (``label_latency``, mean) and from the capture of a frame that shows labels until the websocket's client had its
message (median, and 95th percentile); the latter, the way, is all of it that the cluster is in. Cameras and networks
take more and less from turn to turn, on a busy machine by more than the cluster takes: so its own part is given too,
what it takes beside them as part of all that one machine takes. Ratios and differences are of one pair each; given are
their medians, with the 95 % interval of the median (bootstrap over pairs).

Prints tables and writes ``benchmarks/results/cluster_cost.json``; with --write-docs they go into docs/cluster.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from benchmarks.document import marks, put_table  # noqa: E402  # the repository root is on the path only now
from benchmarks.live_cameras import machine  # noqa: E402
from benchmarks.live_cameras.family import family  # noqa: E402
from benchmarks.live_cameras.figures import percentile  # noqa: E402
from benchmarks.live_cameras.videos import SAMPLE_NAME, SCENES, camera_video, file_url  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from service.wire_messages import parse_rfc3339  # noqa: E402
from tests.support.cluster_service import ClusterService, new_database  # noqa: E402
from tests.support.postgres import Server, own_server  # noqa: E402
from tests.support.service import Service  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "cluster_cost.json"
DOCUMENT = REPOSITORY / "docs" / "cluster.md"
MARKS = marks("benchmarks/cluster_cost.py")
CACHE = REPOSITORY / ".cache" / "tests"  # converted networks, as the end-to-end tests have them
VIDEOS = REPOSITORY / ".cache" / "benchmarks" / "videos"
GOAL_RATIO, GOAL_MS = 1.05, 50.0
RESAMPLES = 4000
SINGLE, CLUSTER = "one machine", "cluster"
LABEL_S, SETTLE_S = 120.0, 8.0
WORK = ("streams", "inference")
PARTS = (*WORK, "API", "node", "Ray", "PostgreSQL")
_RAY = ("ray_side", "ray_start", "/ray/", "ray::", "raylet", "gcs_server")


@dataclass(frozen=True, slots=True)
class Turn:
    """One service with the cameras for a while. ``cpu_s`` by part; ``heard_ms`` of each message with a label: from the
    capture of its frame until the client had it; ``label_s``: mean from a clip's newest frame to its label."""

    mode: str
    seconds: float
    frames: float
    detections: float
    label_s: float
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    heard_ms: Sequence[float] = ()

    @property
    def cpu_ms(self) -> float:
        """→ CPU milliseconds of all parts for one frame."""
        return 1000 * sum(self.cpu_s.values()) / self.frames

    @property
    def beside_cores(self) -> float:
        """→ cores that everything takes that neither reads cameras nor runs networks."""
        return sum(used for part, used in self.cpu_s.items() if part not in WORK) / self.seconds

    def age_ms(self, share: int) -> float:
        """→ the age of a label at the client: ``share`` per cent are not older, but for its way to the stream."""
        heard = percentile(self.heard_ms, share)
        if heard is None:
            raise SystemExit(f"{self.mode}: nobody had a label for {self.seconds:.0f} s")
        return heard + 1000 * self.label_s


@dataclass(frozen=True, slots=True)
class Counted:
    """What /metrics says of some streams: frames, detections, labels, and the seconds that these took."""

    frames: float = 0.0
    detections: float = 0.0
    labels: float = 0.0
    label_s: float = 0.0


NAMES = {
    "actoscope_frames_out_total": "frames",
    "actoscope_label_latency_seconds_count": "labels",
    "actoscope_label_latency_seconds_sum": "label_s",
}


def counted(text: str, streams: set[str]) -> Counted:
    """→ sums over streams."""
    found = asdict(Counted())
    for metric in text_string_to_metric_families(text):
        for sample in metric.samples:
            if sample.labels.get("stream") not in streams:
                continue
            if sample.name == "actoscope_stage_seconds_count" and sample.labels.get("stage") == "detect_wait":
                found["detections"] += sample.value
            elif sample.name in NAMES:
                found[NAMES[sample.name]] += sample.value
    return Counted(**found)


# -- CPU


@dataclass(frozen=True, slots=True)
class Roots:
    """Processes whose families are a service: by part, what is in them that is nothing else."""

    pids: Mapping[str, int]

    @classmethod
    def of(cls, service: Service, postgres: Server | None) -> Roots:
        pids = {"API": service.pid}
        if isinstance(service, ClusterService) and service.node.process is not None and postgres is not None:
            pids |= {"node": service.node.process.pid, "PostgreSQL": postgres.process.pid}
        return cls(pids)

    def cpu(self) -> dict[tuple[str, int], float]:
        """→ (part, process) → CPU seconds in user and system, of those that live."""
        used = {}
        for root, pid in self.pids.items():
            for process in family(pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    used[part_of(root, process.cmdline()), process.pid] = times.user + times.system
        return used


def part_of(root: str, command: Sequence[str]) -> str:
    """→ which of PARTS a process belongs to."""
    words = " ".join(command)
    if "stream_process" in words:
        return "streams"
    if "inference_process" in words:
        return "inference"
    return "Ray" if any(name in words for name in _RAY) else root


def used_between(before: Mapping[tuple[str, int], float], after: Mapping[tuple[str, int], float]) -> dict[str, float]:
    """→ part → CPU seconds. What a process that ended meanwhile used at last is lost."""
    used = dict.fromkeys(PARTS, 0.0)
    for (part, pid), seconds in after.items():
        used[part] += seconds - before.get((part, pid), 0.0)
    return used


# -- a turn


def turn(mode: str, service: Service, postgres: Server | None, urls: Sequence[str], seconds: float) -> Turn:
    """Gives the service its cameras, measures, and takes them away."""
    roots = Roots.of(service, postgres)
    with service.subscribe() as heard:
        streams = {service.add_stream(url, tier="light")["id"] for url in urls}
        for stream in streams:
            heard.wait("tracks", LABEL_S, _labelled, stream_id=stream)
        time.sleep(SETTLE_S)
        before, cpu, begin = counted(service.client.get("/metrics").text, streams), roots.cpu(), time.monotonic()
        apart_s = time.time() - begin
        time.sleep(seconds)
        after, end = counted(service.client.get("/metrics").text, streams), time.monotonic()
        used = used_between(cpu, roots.cpu())
        told = [(at, message) for at, message in list(heard.messages) if begin <= at <= end and _labelled(message)]
        for stream in streams:
            service.client.delete(f"/v1/streams/{stream}")
    labels = after.labels - before.labels
    return Turn(
        mode,
        end - begin,
        after.frames - before.frames,
        after.detections - before.detections,
        (after.label_s - before.label_s) / labels if labels else 0.0,
        used,
        [1000 * (at + apart_s - parse_rfc3339(message["captured_at"])) for at, message in told],
    )


def _labelled(message: Mapping[str, Any]) -> bool:
    return message["type"] == "tracks" and any(track["action"] for track in message["tracks"])


@contextlib.contextmanager
def both(folder: Path) -> Iterator[tuple[dict[str, Service], Server]]:
    """→ by mode, the services, with their networks loaded; and the PostgreSQL of the cluster."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-cost-postgres-"))
        postgres = stack.enter_context(own_server(Path(place)))
        roots = json.dumps([str(VIDEOS), str(REPOSITORY / "samples")])
        single = Service(folder / "single", CACHE, media_roots=roots)
        cluster = ClusterService(folder / "cluster", CACHE, new_database(postgres.url), media_roots=roots)
        for service in (single, cluster):
            stack.callback(service.client.close)
            stack.callback(service.stop, 60)
            service.start()
        yield {SINGLE: single, CLUSTER: cluster}, postgres


def address(scene: str) -> str:
    """→ the scene as a file that is played at its own pace, again and again."""
    return file_url(scene) or f"{camera_video(scene, VIDEOS).as_uri()}?pace=realtime&loop=true"


def measure(scenes: Sequence[str], runs: int, pairs: int, cameras: int, seconds: float) -> list[dict[str, Any]]:
    """→ a summary for each scene of each run: all scenes are measured before the next run begins."""
    urls = {scene: [address(scene)] * cameras for scene in scenes}
    found = []
    with tempfile.TemporaryDirectory(prefix="cluster-cost-") as name, both(Path(name)) as (services, postgres):
        for run in range(1, runs + 1):
            for scene in scenes:
                print(f"run {run}, {scene}", file=sys.stderr, flush=True)
                turns = [pair(number, services, postgres, urls[scene], seconds) for number in range(pairs)]
                found.append({"scene": scene, "run": run, "load": round(os.getloadavg()[2], 1), **summary(turns)})
    return found


def pair(
    number: int, services: Mapping[str, Service], postgres: Server, urls: Sequence[str], seconds: float
) -> dict[str, Turn]:
    """→ a turn of each; the one and the other is first in turns."""
    turns = {}
    for mode in (SINGLE, CLUSTER)[:: 1 if number % 2 == 0 else -1]:
        turns[mode] = turn(mode, services[mode], postgres, urls, seconds)
        print(shown(turns[mode]), file=sys.stderr, flush=True)
    return turns


def shown(one: Turn) -> str:
    parts = ", ".join(f"{part} {used:.2f}" for part, used in one.cpu_s.items() if used)
    age = f"label {one.age_ms(50):.0f} ms (95 %: {one.age_ms(95):.0f})"
    return f"{one.mode}: {one.frames:.0f} frames, {one.cpu_ms:.1f} ms CPU each ({parts} s), {age}"


# -- figures


def spread(values: Sequence[float], digits: int) -> dict[str, float]:
    """→ the median, and the ends of its 95 % interval."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    low, high = medians[RESAMPLES // 40], medians[-1 - RESAMPLES // 40]
    middle = statistics.median(values)
    return {"median": round(middle, digits), "low": round(low, digits), "high": round(high, digits)}


def own_ratio(single: Turn, cluster: Turn) -> float:
    """→ the same where cameras and networks take what they take on one machine."""
    return 1 + (cluster.beside_cores - single.beside_cores) * single.seconds / sum(single.cpu_s.values())


def summary(pairs: Sequence[Mapping[str, Turn]]) -> dict[str, Any]:
    modes = {mode: _of_mode([pair[mode] for pair in pairs]) for mode in (SINGLE, CLUSTER)}

    def added(value: Callable[[Turn], float], digits: int) -> dict[str, float]:
        return spread([value(pair[CLUSTER]) - value(pair[SINGLE]) for pair in pairs], digits)

    return {
        "pairs": len(pairs),
        "modes": modes,
        "cpu_ratio": spread([pair[CLUSTER].cpu_ms / pair[SINGLE].cpu_ms for pair in pairs], 3),
        "own_ratio": spread([own_ratio(pair[SINGLE], pair[CLUSTER]) for pair in pairs], 3),
        "cores_added": added(lambda one: one.beside_cores, 3),
        "age_p50_added_ms": added(lambda one: one.age_ms(50), 1),
        "age_p95_added_ms": added(lambda one: one.age_ms(95), 1),
        "heard_p50_added_ms": added(_heard, 1),
    }


def _heard(one: Turn) -> float:
    return one.age_ms(50) - 1000 * one.label_s


def _of_mode(turns: Sequence[Turn]) -> dict[str, Any]:
    """→ medians over turns; CPU of a part in milliseconds a frame."""
    parts = {part: statistics.median(1000 * one.cpu_s[part] / one.frames for one in turns) for part in PARTS}
    return {
        "frames_a_second": round(statistics.median(one.frames / one.seconds for one in turns), 1),
        "detections_a_second": round(statistics.median(one.detections / one.seconds for one in turns), 1),
        "cpu_ms": round(statistics.median(one.cpu_ms for one in turns), 2),
        "parts_ms": {part: round(value, 2) for part, value in parts.items()},
        "heard_ms": round(statistics.median(map(_heard, turns)), 1),
        "label_ms": round(1000 * statistics.median(one.label_s for one in turns), 1),
        "age_p50_ms": round(statistics.median(one.age_ms(50) for one in turns), 1),
        "age_p95_ms": round(statistics.median(one.age_ms(95) for one in turns), 1),
    }


def table(result: Mapping[str, Any]) -> str:
    """→ Markdown: what each mode took on each scene, and what the cluster adds."""
    heads = ["scene", "run", "", "frames/s", "CPU ms a frame", *(f"of it {part}" for part in PARTS)]
    heads += ["label age p50 ms", "p95 ms"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for one in result["measured"]:
        for mode, of in one["modes"].items():
            parts = [f"{of['parts_ms'][part]:.2f}" for part in PARTS]
            cells = [one["scene"], one["run"], mode, of["frames_a_second"], of["cpu_ms"], *parts]
            lines.append("| " + " | ".join(map(str, [*cells, of["age_p50_ms"], of["age_p95_ms"]])) + " |")
    heads = ["scene", "run", "CPU a frame ×", "its own part ×", "cores beside", "on the way ms", "label age p50 ms"]
    heads += ["p95 ms", "load"]
    lines += ["", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for one in result["measured"]:
        added = [_signed(one[f"{name}_added_ms"]) for name in ("heard_p50", "age_p50", "age_p95")]
        cells = [one["scene"], one["run"], *(_spread(one[name]) for name in ("cpu_ratio", "own_ratio"))]
        cells += [_signed(one["cores_added"]), *added, one["load"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", *(_judged(scene, result["measured"]) for scene in _scenes(result["measured"]))]
    lines.append(
        f"\nMedians over {result['pairs']} pairs of turns of {result['seconds']:g} s, with the 95 % interval of the "
        f"median; {result['cameras']} cameras, light network, {result['machine']}; load: of this machine over the "
        "last quarter of an hour, on 2 cores."
    )
    return "\n".join(lines)


def _scenes(measured: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(one["scene"] for one in measured))


def _judged(scene: str, measured: Sequence[Mapping[str, Any]]) -> str:
    """→ whether the goals are reached there, by the worst of the runs."""
    mine = [one for one in measured if one["scene"] == scene]
    ratio, own = (max(one[name]["median"] for one in mine) for name in ("cpu_ratio", "own_ratio"))
    is_cheap = max(ratio, own) <= GOAL_RATIO
    way = max(one["heard_p50_added_ms"]["median"] for one in mine)
    return (
        f"- {scene}: CPU per frame at most × {GOAL_RATIO}: {_reached(is_cheap)} ({ratio:g}, its own "
        f"part {own:g}); on the way at most {GOAL_MS:+g} ms: {_reached(way <= GOAL_MS)} ({way:+g} ms)"
    )


def _reached(is_so: bool) -> str:
    return "reached" if is_so else "not reached"


def _spread(of: Mapping[str, float]) -> str:
    return f"{of['median']:g} [{of['low']:g}, {of['high']:g}]"


def _signed(of: Mapping[str, float]) -> str:
    return f"{of['median']:+g} [{of['low']:+g}, {of['high']:+g}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", choices=(SAMPLE_NAME, *SCENES), default=(SAMPLE_NAME, "people-4"))
    parser.add_argument("--runs", type=int, default=2, help="of everything, one after the other (default 2)")
    parser.add_argument("--pairs", type=int, default=8, help="of turns, for each scene in each run (default 8)")
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="that a turn is measured (default 10)")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    measured = measure(options.scenes, options.runs, options.pairs, options.cameras, options.seconds)
    about = {"pairs": options.pairs, "cameras": options.cameras, "seconds": options.seconds, "machine": machine.cpu()}
    result = {**about, "measured": measured}
    print(table(result))
    write_atomically(options.json, json.dumps(result, indent=1) + "\n")
    if options.write_docs:
        put_table(DOCUMENT, table(result), MARKS)


if __name__ == "__main__":
    main()
