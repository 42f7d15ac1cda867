"""What recording costs: the camera's packets copied, against clean pictures encoded, against boxes drawn and encoded.

    python benchmarks/recording_cost.py [--rounds 5] [--write-docs]

The sample as a camera of 1280×720 at 25 pictures a second, H.264 with a keyframe a second; four labelled people
in each picture. What is measured is the CPU time of the real recorder, from a picture (or packet) to files that are
finished, synced and compressed; decoding, which every stream pays anyway, is not in it. The ways take turns within each
round, so that they meet the same machine; figures are medians over rounds, and ratios are of one round each.

Prints a table and writes ``benchmarks/results/recording_cost.json``; with --write-docs the table goes into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

import av  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.document import marks, put_table  # noqa: E402
from models.runtimes.host import describe_host  # noqa: E402
from pipeline.entities import Frame, FrameResult, Image, Track, TrackLabel, TrackState  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from pipeline.overlay import draw  # noqa: E402
from pipeline.sources.tape import CodedTape, Taped  # noqa: E402
from pipeline.sources.url import SourceUrl  # noqa: E402
from pipeline.sources.video_source import SourceOptions, VideoSource  # noqa: E402
from service.recording.recorder import RecorderConfig, SegmentRecorder  # noqa: E402
from service.storage.segment import Segment  # noqa: E402
from service.wire_messages import to_tracks_message  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "recording_cost.json"
DOCUMENT = REPOSITORY / "docs" / "performance.md"
MARKS = marks("benchmarks/recording_cost.py")
STREET = REPOSITORY / "samples" / "street.mp4"
SIZE_HW, RATE, PICTURES, PEOPLE = (720, 1280), 25, 150, 4
CONFIG = RecorderConfig(segment_s=60, min_free_bytes=0, queue_frames=PICTURES, queue_s=1e6)
WAYS = {
    "copied": "the camera's packets, copied",
    "encoded": "clean pictures, encoded",
    "drawn": "boxes and labels drawn, encoded",
}


@dataclass(frozen=True)
class Footage:
    """What a stream's process has of a camera: results with their pictures, and the packets."""

    results: Sequence[FrameResult]
    packets: Sequence[Taped]


class ReplayedTape(CodedTape):
    """The same packets again for each round."""

    def __init__(self, packets: Sequence[Taped]) -> None:
        super().__init__()
        self._left = list(packets)

    def take(self, time_s: float, epoch: float) -> tuple[Taped, ...]:
        count = sum(each.time_s <= time_s for each in self._left)
        taken, self._left = self._left[:count], self._left[count:]
        return tuple(taken)


@dataclass(frozen=True)
class Cost:
    """CPU seconds and bytes of one way in one round."""

    cpu_s: float
    bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        footage = film(write_camera(Path(folder) / "camera.mp4"))
        rounds = [measure(footage, Path(folder) / str(number)) for number in range(arguments.rounds)]
    report = {"host": describe_host(), "pictures": PICTURES, "rate_hz": RATE, **summary(rounds)}
    write_atomically(RESULTS, json.dumps(report, indent=1) + "\n")
    print(table(report))
    if arguments.write_docs:
        put_table(DOCUMENT, table(report), MARKS)


def write_camera(path: Path) -> Path:
    """The sample as a camera sends it."""
    with av.open(str(STREET)) as source, av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "bf": "0", "g": str(RATE), "tune": "zerolatency", "b": "4M"}
        stream = out.add_stream("libx264", rate=RATE, options=options)
        (stream.height, stream.width), stream.pix_fmt, stream.bit_rate = SIZE_HW, "yuv420p", 4_000_000
        for index, frame in enumerate(source.decode(video=0)):
            if index == PICTURES:
                break
            picture = cv2.resize(frame.to_ndarray(format="rgb24"), SIZE_HW[::-1])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path


def film(path: Path) -> Footage:
    tape = CodedTape()
    source = VideoSource(SourceUrl.from_path(path), SourceOptions(keep_coded=True), lambda *_: None, tape)
    results = [in_view(frame) for frame in source]
    return Footage(results, tape.take(math.inf, math.inf))


def in_view(frame: Frame) -> FrameResult:
    """Four people who walk through the picture."""
    height, width = SIZE_HW
    lefts = [(0.2 * number + 0.01 * frame.index) % 0.9 for number in range(PEOPLE)]
    boxes = [np.array([x * width, 0.3 * height, (x + 0.08) * width, 0.7 * height], np.float32) for x in lefts]
    tracks = tuple(Track(number, box, TrackState.CONFIRMED, 0.9) for number, box in enumerate(boxes))
    labels = {number: TrackLabel("Walking", 0.9, {"Walking": 0.9}, frame.time_s, False) for number in range(PEOPLE)}
    return FrameResult(frame, tracks, labels, dict.fromkeys(range(PEOPLE), 64))


def measure(footage: Footage, folder: Path) -> dict[str, Cost]:
    """One round: every way once."""
    clean: Callable[[FrameResult], Image] = lambda result: result.frame.image  # noqa: E731
    return {
        "copied": record(footage, folder / "copied", clean, ReplayedTape(footage.packets)),
        "encoded": record(footage, folder / "encoded", clean),
        "drawn": record(footage, folder / "drawn", draw),
    }


def record(
    footage: Footage, folder: Path, paint: Callable[[FrameResult], Image], tape: CodedTape | None = None
) -> Cost:
    segments: list[Segment] = []
    begun_s = time.process_time()
    recorder = SegmentRecorder(folder, CONFIG, segments.append, print, tape=tape, overlay=paint is draw)
    for result in footage.results:
        recorder.write(result, paint(result), [to_tracks_message("str_a", result, 64)])
    recorder.close(timeout_s=120)
    cpu_s = time.process_time() - begun_s
    if sum(segment.frames for segment in segments) != PICTURES:
        raise RuntimeError(f"expected {PICTURES} recorded pictures, got {[segment.frames for segment in segments]}")
    return Cost(cpu_s, sum(segment.bytes for segment in segments))


def summary(rounds: Sequence[dict[str, Cost]]) -> dict[str, object]:
    """Medians of a picture's CPU time, of the share of a core that a camera takes, and of the ratios to copying."""
    rows = {}
    for way in WAYS:
        ratios = [each[way].cpu_s / each["copied"].cpu_s for each in rounds]
        cpu_ms = statistics.median(1000 * each[way].cpu_s / PICTURES for each in rounds)
        rows[way] = {
            "cpu_ms": round(cpu_ms, 3),
            "core_share": round(cpu_ms * RATE / 1000, 4),
            "ratio": round(statistics.median(ratios), 1),
            "ratios": [round(ratio, 1) for ratio in ratios],
            "mbit_s": round(statistics.median(8e-6 * each[way].bytes * RATE / PICTURES for each in rounds), 2),
        }
    return {"rounds": len(rounds), "ways": rows}


def table(report: dict[str, object]) -> str:
    """→ Markdown."""
    lines = [
        f"{report['host']}, {report['rounds']} rounds:",
        "",
        "| recorded | CPU ms a picture | of a core, 25 pictures a second | × copying (of single rounds) | Mbit/s |",
        "|---|---|---|---|---|",
    ]
    ways = report["ways"]
    if not isinstance(ways, dict):
        raise TypeError(f"expected the rows of each way, got {ways!r}")
    for way, row in ways.items():
        spread = f"{row['ratio']} ({min(row['ratios'])} … {max(row['ratios'])})" if way != "copied" else "1"
        lines.append(
            f"| {WAYS[way]} | {row['cpu_ms']:.2f} | {100 * row['core_share']:.1f} % | {spread} | {row['mbit_s']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
