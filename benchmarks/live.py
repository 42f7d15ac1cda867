"""What the running service shows of people on ordinary computers: labels, their age, IDs, and what it costs.

    python benchmarks/live.py [--videos sample people-5] [--cameras 1 2] [--cores 1 2] [--loads 0 1] [--seconds 60]

Each row is the real service, real RTSP cameras on loopback (``sample`` is played as a file, as `make run` does) and a
websocket that listens; the service may use the first so many cores, as under ``taskset``, and the cameras the others
where there are any. Without lists of its own a row of ``rows.DEFAULT`` each; with any, their product. ``--isas avx2``
limits the networks by ONEDNN_MAX_CPU_ISA; whether that works is found out by the time of a clip, and where it does not,
or the processor has no more than AVX2, both are one row, ``native``. Scenes: benchmarks/live_cameras/videos.py.

A box counts as labelled against the straight line (``annotate`` without a classifier) on the same video: everyone whom
it has in view for over 3 s should have a box (``found``) with a label. ``own IDs`` is the share by the live tracker's
own IDs, which flatters a tracker that loses people. The age is that of the oldest label shown (``label_age_ms``), once
a second; waits are read from a histogram, straight between its bounds. IDs are counted in what the websocket tells, ten
times a second (``told/s`` is less where the stream stands still: then boxes and IDs are those of few moments).

Rows that the JSON file has for this processor are not measured again without --again, so a run may be interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from benchmarks import document  # noqa: E402  # the repository root is on the path only now
from benchmarks.live_cameras import isa, machine, straight_line, table  # noqa: E402
from benchmarks.live_cameras.rows import AVX2, NATIVE, Result, Row, Wanted, keep, missing, plan  # noqa: E402
from benchmarks.live_cameras.service_run import Timing, columns, loop_breaks, observe, prepare  # noqa: E402
from benchmarks.live_cameras.videos import SAMPLE_NAME, SCENES, camera_video  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from tests.support.rtsp import gstreamer_python  # noqa: E402

CACHE = REPOSITORY / ".cache" / "tests"  # converted networks, as the end-to-end tests have them
WORK = REPOSITORY / ".cache" / "live-benchmark"
PAGE = REPOSITORY / "docs" / "performance.md"


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    results = read(options.json)
    rows = plan(wanted(options), len(os.sched_getaffinity(0)), isas_here(options.cache))
    todo = rows if options.again else missing(rows, results, machine.cpu(), options.seconds)
    if AVX2 in options.isas and AVX2 not in {row.isa for row in rows}:
        print(f"{isa.VARIABLE}=AVX2 changes nothing here: those rows are `{NATIVE}`")
    print(f"{len(rows)} rows, {len(todo)} to measure on {machine.cpu()}", flush=True)
    if any(row.video != SAMPLE_NAME for row in todo) and gstreamer_python() is None:
        raise SystemExit("GStreamer's RTSP server is not installed (python3-gi, gir1.2-gst-rtsp-server-1.0)")
    if options.lines_only:
        for row in {row.video: row for row in rows}.values():
            print(f"{row.video}: {line_of(row, options.seconds, options.cache).people:.1f} people", flush=True)
        return 0
    timing = Timing(options.seconds, options.warm_up, options.patience)
    if not all(row.cold for row in todo):
        prepared(options.cache)
    for row in todo:
        results = keep(results, measured(row, timing, options.cache))
        write_atomically(options.json, json.dumps({"rows": results}, indent=1) + "\n")
        print(table.plain([result for result in results if result["row"] == row.name]), flush=True)
    print(table.plain(results))
    if options.write_docs:
        text = document.with_table(PAGE.read_text("utf-8"), table.markdown(results), table.MARKS)
        write_atomically(PAGE, text)
    return 0


def read(path: Path) -> list[Result]:
    return json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []


def isas_here(cache: Path) -> list[str]:
    """→ the instruction sets worth rows of their own; a clip is timed only where the processor has more than AVX2."""
    flags = machine.flags()
    if isa.distinct(flags, {NATIVE: 1.0, AVX2: 1e9}) == [NATIVE]:
        return [NATIVE]
    clips = isa.measured_clips(cache)
    print(f"CPU seconds of a clip: {clips}", flush=True)
    return isa.distinct(flags, clips)


def isas_asked(isas: Sequence[str], cache: Path) -> list[str]:
    """→ ``isas_here`` where one of ``isas`` is limited, else the native one alone; says so where a limit is none."""
    there = isas_here(cache) if AVX2 in isas else [NATIVE]
    if AVX2 in isas and AVX2 not in there:
        print(f"no row with {AVX2}: it changes nothing here, or the networks do not run under it")
    return there


def prepared(cache: Path) -> None:
    """One start before the first row, so that no row pays for what only a first start converts and measures."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), cache)


def measured(row: Row, timing: Timing, cache: Path) -> dict[str, Any]:
    """→ the row's result; one that failed says why and is tried again by the next run."""
    print(f"- {row.name}", flush=True)
    about = {"row": row.name, **asdict(row), "cpu": machine.cpu(), "commit": commit(), "seconds": timing.seconds}
    try:
        line = line_of(row, timing.seconds, cache)
        with tempfile.TemporaryDirectory() as folder:
            seen = observe(row, camera_video(row.video, WORK / "videos"), timing, Path(folder), cache)
        return {**about, **columns(row, seen, line)}
    except (AssertionError, OSError, httpx.HTTPError, subprocess.SubprocessError) as error:
        print(f"  {error}", flush=True)
        return {**about, "problem": f"{type(error).__name__}: {error}"[:2000]}


def line_of(row: Row, seconds: float, cache: Path) -> straight_line.StraightLine:
    """→ what the row is held to; computed the first time, in about a CPU minute or two a video."""
    video = camera_video(row.video, WORK / "videos")
    return straight_line.kept(video, seconds, WORK / "lines", cache, loop_breaks(row))


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip()


def wanted(options: argparse.Namespace) -> Wanted:
    return Wanted(
        options.videos, options.cameras, options.cores, options.isas, options.loads, options.tier, options.cold
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--videos", nargs="*", default=(), choices=(SAMPLE_NAME, *SCENES), metavar="NAME")
    made.add_argument("--cameras", nargs="*", default=(), type=int, metavar="N")
    made.add_argument("--cores", nargs="*", default=(), type=int, metavar="N")
    made.add_argument("--isas", nargs="*", default=(), choices=(NATIVE, AVX2), metavar="NAME")
    made.add_argument("--loads", nargs="*", default=(), type=int, metavar="N", help="busy processes beside the service")
    made.add_argument("--tier", default="auto", help="pin every stream to a tier of the model")
    made.add_argument("--cold", action="store_true", help="a first start: nothing is converted or measured yet")
    made.add_argument("--seconds", type=int, default=60, help="measured for each row")
    made.add_argument("--warm-up", type=float, default=20.0, help="seconds from the first label to the measuring")
    made.add_argument("--patience", type=float, default=60.0, help="seconds from ready on to wait for a label")
    made.add_argument("--again", action="store_true", help="measure rows that are there, too")
    made.add_argument("--lines-only", action="store_true", help="only compute what the rows are held to")
    made.add_argument("--cache", type=Path, default=CACHE, help="folder of converted networks")
    made.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "live.json")
    made.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    return made


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service ends with it
    sys.exit(main())
