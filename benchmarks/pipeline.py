"""What the running service sustains: the straight line on a file, and N live RTSP cameras on loopback.

    python benchmarks/pipeline.py [--cameras 1 2 4] [--seconds 60] [--video FILE] [--json FILE]

Part 1 runs a file through every stage in one process and prints where the time goes. Part 2 starts the real service
and a real RTSP server for each number of cameras, lets it warm up, then samples once a second: frames a second, drops
by cause, detection stride, age of the labels shown, the API's answer times, and the memory of all processes. The camera
picture is a part of the bundled sample (about four people), scaled to 1280×720 at 25 frames a second.

Timings of two runs on different days do not compare; the figures within one run do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.live_cameras.family import pss_mb  # noqa: E402
from benchmarks.live_cameras.figures import percentile  # noqa: E402
from benchmarks.live_cameras.videos import SCENES, camera_video  # noqa: E402
from pipeline.overlay import draw  # noqa: E402
from pipeline.sources.url import SourceUrl  # noqa: E402
from pipeline.sources.video_source import SourceOptions, VideoSource  # noqa: E402
from service.configuration import EngineConfig, StagesConfig  # noqa: E402
from service.counters import Measures  # noqa: E402
from service.engine import InferenceEngine  # noqa: E402
from service.offline.local_inference import LocalInference  # noqa: E402
from service.stages import build_stages  # noqa: E402
from service.stream import process_frame  # noqa: E402
from tests.support.rtsp import RtspServer  # noqa: E402
from tests.support.service import Service  # noqa: E402

CACHE = REPOSITORY / ".cache" / "tests"
SCENE = "people-5"
WARM_UP_S = 20


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        video = options.video or camera_video(SCENE, Path(folder))
        report: dict[str, Any] = {
            "machine": machine(),
            "video": str(options.video or f"samples/street.mp4, {SCENES[SCENE].filters()}"),
        }
        report["stages"] = measure_stages(video, options.frames)
        print_stages(report["stages"])
        report["cameras"] = [
            measure_cameras(video, number, options.seconds, Path(folder) / str(number)) for number in options.cameras
        ]
    print_cameras(report["cameras"])
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written to {options.json}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--frames", type=int, default=200, help="frames of part 1")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "pipeline.json")
    return parser.parse_args()


def machine() -> dict[str, Any]:
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0]
    return {"cores": os.cpu_count(), "avx512_bf16": "avx512_bf16" in flags, "amx": "amx_tile" in flags}


# -- part 1


def measure_stages(video: Path, frames: int) -> dict[str, Any]:
    """→ per stage: calls, mean milliseconds, share of the whole."""
    measures = Measures()
    engine = InferenceEngine(EngineConfig(weights_dir=REPOSITORY / "weights", cache_dir=CACHE), measures)
    stages = build_stages(StagesConfig(), measures)
    inference = LocalInference(engine, engine.config.model)
    source = VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)
    begin, count, people = time.monotonic(), 0, 0
    for frame in islice(iter(source), frames):
        result = process_frame(frame, inference, stages)
        people += len(result.tracks)
        with measures.timed("draw"):
            draw(result, 64, "00:00")
        count += 1
    seconds = time.monotonic() - begin
    source.stop()
    histograms = measures.snapshot()["histograms"]
    rows = {
        name.partition(":")[2]: {"calls": sum(h["counts"]), "seconds": h["sum"]}
        for name, h in histograms.items()
        if name.startswith("stage:") and name != "stage:detect_wait"
    }
    return {
        "frames": count,
        "people_a_frame": round(people / max(1, count), 1),
        "seconds": seconds,
        "parts": engine.describe(),
        "stages": rows,
    }


def print_stages(report: dict[str, Any]) -> None:
    print(f"\nOne process, {report['frames']} frames, {report['people_a_frame']} people a frame; {report['parts']}")
    print(f"{'stage':<12} {'calls':>6} {'mean ms':>9} {'share':>7}")
    for name, row in sorted(report["stages"].items(), key=lambda item: -item[1]["seconds"]):
        mean_ms = 1000 * row["seconds"] / row["calls"]
        print(f"{name:<12} {row['calls']:>6} {mean_ms:>9.2f} {row['seconds'] / report['seconds']:>7.1%}")


# -- part 2


def measure_cameras(video: Path, number: int, seconds: int, folder: Path) -> dict[str, Any]:
    """The real service with ``number`` cameras of one RTSP server."""
    begin = time.monotonic()
    with Service(folder, CACHE) as service, RtspServer(video) as camera:
        ready_s = time.monotonic() - begin
        ids = [service.add_stream(camera.url(), record=True)["id"] for _ in range(number)]
        for stream_id in ids:
            service.wait_state(stream_id, "running", 30)
        time.sleep(WARM_UP_S)
        probe = ApiProbe(service)
        samples, before = [], counters(service)
        for _ in range(seconds):
            time.sleep(1.0)
            samples.append(sample(service, ids))
        after, answers_ms = counters(service), probe.stop()
    return {
        "cameras": number,
        "ready_s": round(ready_s, 1),
        "fps_in": mean(samples, "fps_in"),
        "fps_out": mean(samples, "fps_out"),
        "stride": mean(samples, "stride"),
        "people": mean(samples, "tracks"),
        "label_age_ms_p50": percentile([a for s in samples for a in s["label_age_ms"]], 50),
        "label_age_ms_p95": percentile([a for s in samples for a in s["label_age_ms"]], 95),
        "clips_a_second": round((after["clips"] - before["clips"]) / seconds, 2),
        "drops": {key: after["drops"][key] - before["drops"].get(key, 0) for key in after["drops"]},
        "skips": after["skips"] - before["skips"],
        "api_ms_p50": percentile(answers_ms, 50),
        "api_ms_p99": percentile(answers_ms, 99),
        "rss_mb": [s["rss_mb"] for s in samples],
        "pss_mb_max": max(s["pss_mb"] for s in samples),
        "cpu_cores": mean(samples, "cpu"),
    }


class ApiProbe:
    """Asks the API all the time from a thread, and keeps the answer times in milliseconds."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._times_ms: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            begin = time.monotonic()
            self._service.client.get("/v1/streams")
            self._times_ms.append(1000 * (time.monotonic() - begin))

    def stop(self) -> list[float]:
        self._stop.set()
        self._thread.join()
        return self._times_ms


_processes: dict[int, psutil.Process] = {}


def sample(service: Service, ids: list[str]) -> dict[str, Any]:
    streams = [service.stream(stream_id) for stream_id in ids]
    parent = psutil.Process(service.pid)
    family = [_processes.setdefault(p.pid, p) for p in (parent, *parent.children(recursive=True))]
    return {
        "fps_in": statistics.mean(s["fps_in"] for s in streams),
        "fps_out": statistics.mean(s["fps_out"] for s in streams),
        "stride": statistics.mean(s["detection_stride"] for s in streams),
        "tracks": statistics.mean(s["tracks"] for s in streams),
        "label_age_ms": [s["label_age_ms"] for s in streams if s["label_age_ms"] is not None],
        "rss_mb": round(sum(p.memory_info().rss for p in family) / 2**20),
        "pss_mb": pss_mb(service.pid),
        "cpu": sum(p.cpu_percent() for p in family) / 100,
    }


def counters(service: Service) -> dict[str, Any]:
    drops: dict[str, float] = {}
    totals = {"clips": 0.0, "skips": 0.0}
    for line in service.client.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("actoscope_drops_total{"):
            cause = name.split('cause="')[1].split('"')[0]
            drops[cause] = drops.get(cause, 0) + float(value)
        elif name.startswith("actoscope_inference_clips_classified_total"):
            totals["clips"] = float(value)
        elif name.startswith("actoscope_clips_skipped_total"):
            totals["skips"] += float(value)
    return {"drops": drops, **totals}


def mean(samples: list[dict[str, Any]], key: str) -> float:
    values: list[float] = [s[key] for s in samples]
    return round(statistics.mean(values), 2)


def print_cameras(rows: list[dict[str, Any]]) -> None:
    columns = [
        ("cameras", "cameras"),
        ("people", "people"),
        ("fps in", "fps_in"),
        ("fps out", "fps_out"),
        ("stride", "stride"),
        ("clips/s", "clips_a_second"),
        ("age p50", "label_age_ms_p50"),
        ("age p95", "label_age_ms_p95"),
        ("api p99", "api_ms_p99"),
        ("PSS MB", "pss_mb_max"),
        ("cores", "cpu_cores"),
        ("ready s", "ready_s"),
    ]
    print("\nLive RTSP cameras, 1280×720 at 25 frames a second, recording on (ages and answer times in ms)")
    print("".join(f"{title:>9}" for title, _ in columns) + "  drops")
    for row in rows:
        print("".join(f"{row[key]!s:>9}" for _, key in columns) + f"  {row['drops']}, skipped clips {row['skips']:.0f}")


if __name__ == "__main__":
    main()
