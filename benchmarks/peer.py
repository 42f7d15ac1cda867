"""Actoscope beside the loop of ultralytics' action recognition example: the same video, the same cores, live.

    python benchmarks/peer.py [--videos people-5] [--cores 2] [--seconds 60] [--again]

Both get the video at a camera's pace and drop what they cannot keep up with. Actoscope is the running service, as
benchmarks/live.py measures it (its row is taken from benchmarks/results/live.json where it is there). The other side is
benchmarks/peer_loop: one process that tracks the people with ``model.track(persist=True)`` (BoT-SORT, the default) on
every picture it gets, keeps each person's last 8 square crops (margin 10 %), one every second picture, and classifies
everybody who has 8 with torchvision's S3D at 224² every 12th. Its detector is the one that Actoscope ships, in torch as
the example runs it; S3D has random weights. The package ``lap`` is replaced by scipy where it is missing.

Boxes count as labelled against the straight line on both sides, as in benchmarks/live.py. ``labels/s`` are classified
clips: each gives one person a label. ``pictures/s`` are those that were detected in. The age is that of the oldest
label shown, once a second. Where the goal on labels a second is not reached, labels a CPU second say whether that is
for want of people.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from benchmarks import document, live  # noqa: E402  # the repository root is on the path only now
from benchmarks.live_cameras import family, figures, machine, straight_line  # noqa: E402
from benchmarks.live_cameras.rows import Result, Row, keep, missing  # noqa: E402
from benchmarks.live_cameras.service_run import Timing  # noqa: E402
from benchmarks.live_cameras.videos import SAMPLE_NAME, SCENES, camera_video  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

GOAL = 10.0  # times as many labels a second
WEIGHTS = REPOSITORY / "weights" / "person" / "person.pt"
MARKS = document.marks("benchmarks/peer.py")
HEAD = ("video, cores", "", "labels/s", "labels/CPU s", "boxes labelled", "age p50 / p95 s", "pictures/s", "CPU s/s")


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    results = live.read(options.json)
    rows = [Row(video, cores=cores) for video in options.videos for cores in options.cores]
    for row in rows if options.again else missing(rows, results, machine.cpu(), options.seconds):
        print(f"- {row.name}", flush=True)
        results = keep(results, compared(row, options))
        write_atomically(options.json, json.dumps({"goal": GOAL, "rows": results}, indent=1) + "\n")
    print(markdown(results))
    if options.write_docs:
        text = document.with_table(live.PAGE.read_text("utf-8"), markdown(results), MARKS)
        write_atomically(live.PAGE, text)
    return 0


def compared(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """→ both sides of a row and their ratios; a side that failed says why, and the row is measured again next time."""
    about = {"row": row.name, "cpu": machine.cpu(), "commit": live.commit(), "seconds": options.seconds}
    ours = own_side(row, options)
    if ours.get("problem"):
        return {**about, "problem": f"Actoscope: {ours['problem']}"}
    try:
        theirs = other_side(row, options)
    except (subprocess.SubprocessError, ValueError) as error:
        return {**about, "problem": f"the other side: {error}"[:2000]}
    return {**about, "actoscope": ours, "peer": theirs, **ratios(ours, theirs)}


def own_side(row: Row, options: argparse.Namespace) -> Result:
    """→ the row of benchmarks/live.py, measured now where it is not there."""
    results = live.read(options.live_json)
    if options.again or missing([row], results, machine.cpu(), options.seconds):
        timing = Timing(options.seconds)
        live.prepared(options.cache)
        results = keep(results, live.measured(row, timing, options.cache))
        write_atomically(options.live_json, json.dumps({"rows": results}, indent=1) + "\n")
    return next(each for each in results if (each["row"], each["cpu"]) == (row.name, machine.cpu()))


def other_side(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """→ the figures that the loop prints. Raises subprocess.CalledProcessError with its errors on the terminal."""
    video = camera_video(row.video, live.WORK / "videos")
    command = [sys.executable, "-m", "benchmarks.peer_loop.worker", str(video), "--weights", str(WEIGHTS)]
    command += ["--seconds", str(options.seconds), "--threads", str(row.cores)]
    with family.started_on(sorted(os.sched_getaffinity(0))[: row.cores]):
        done = subprocess.run(command, env=environment(), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return with_shares(said, live.line_of(row, options.seconds, options.cache))


def with_shares(said: dict[str, Any], line: straight_line.StraightLine) -> dict[str, Any]:
    """→ the loop's figures with what its boxes are worth by the service's own measure in the place of the boxes."""
    messages = said.pop("messages")
    share = figures.share(messages, line)
    ratio = figures.ids(messages) / max(1, line.ids(said["seconds"]))
    return {**said, "found": share.of_found, "labelled": share.of_labelled, "ids_ratio": round(ratio, 2)}


def environment() -> dict[str, str]:
    """Keeps ultralytics to itself: no installs, no downloads, no reports, its settings in the cache."""
    settings = live.WORK / "ultralytics"
    settings.mkdir(parents=True, exist_ok=True)
    own = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(settings)}
    return {**os.environ, **own, "YOLO_VERBOSE": "false", "PYTHONPATH": str(REPOSITORY)}


def ratios(ours: Result, theirs: Result) -> dict[str, float | None]:
    """→ how many times as many labels a second, and a CPU second; None where the other side gave none."""
    ours_cpu = ours["clips_a_second"] / ours["cpu_s_a_second"] if ours["cpu_s_a_second"] else 0.0
    return {
        "labels_ratio": _ratio(ours["clips_a_second"], theirs["labels_a_second"]),
        "cpu_ratio": _ratio(ours_cpu, theirs["labels_a_cpu_second"]),
    }


def _ratio(ours: float, theirs: float) -> float | None:
    return round(ours / theirs, 2) if theirs else None


def markdown(results: Iterable[Result]) -> str:
    """Two lines a row, and their ratios."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for result in results:
        name = f"{result['row']} ({result['cpu']})"
        if result.get("problem"):
            lines.append(f"| {name} | none: {result['problem'][:80]} |" + " |" * (len(HEAD) - 2))
            continue
        lines += [f"| {name} | {who} | " + " | ".join(texts) + " |" for who, texts in _sides(result)]
    return "\n".join(lines) + "\n"


def _sides(result: Result) -> list[tuple[str, list[str]]]:
    ours, theirs = result["actoscope"], result["peer"]
    cpu = ours["clips_a_second"] / ours["cpu_s_a_second"] if ours["cpu_s_a_second"] else None
    own = _texts([ours["clips_a_second"], cpu, ours["labelled"]])
    own += [_ages(ours), *_texts([ours["detections_a_second"], ours["cpu_s_a_second"]])]
    other = _texts([theirs["labels_a_second"], theirs["labels_a_cpu_second"], theirs["labelled"]])
    other += [_ages(theirs), *_texts([theirs["pictures_a_second"], theirs["cpu_s_a_second"]])]
    ratio = [f"×{_text(value)}" for value in (result["labels_ratio"], result["cpu_ratio"])]
    return [("Actoscope", own), ("the example's loop", other), ("ratio", [*ratio, *[""] * 4])]


def _ages(side: Result) -> str:
    return f"{_text(side['label_age_s_p50'])} / {_text(side['label_age_s_p95'])}"


def _texts(values: Iterable[float | None]) -> list[str]:
    return [_text(value) for value in values]


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def parser() -> argparse.ArgumentParser:
    results = REPOSITORY / "benchmarks" / "results"
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--videos", nargs="*", default=("people-5",), choices=(SAMPLE_NAME, *SCENES), metavar="NAME")
    made.add_argument("--cores", nargs="*", type=int, default=(2,), metavar="N")
    made.add_argument("--seconds", type=int, default=60)
    made.add_argument("--again", action="store_true", help="measure rows that are there, too")
    made.add_argument("--cache", type=Path, default=live.CACHE, help="folder of converted networks")
    made.add_argument("--json", type=Path, default=results / "peer.json")
    made.add_argument("--live-json", type=Path, default=results / "live.json")
    made.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    return made


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service ends with it
    sys.exit(main())
