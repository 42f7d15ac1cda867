"""What a user has of Fighting events: false ones an hour on calm video, fights found, delay; what settings to ship.

    python benchmarks/false_events.py train --videos ../shared/data --work WORK --data DATASET --networks NETWORKS
    python benchmarks/false_events.py find  --videos ../shared/data --work WORK
    python benchmarks/false_events.py ask   --videos ../shared/data --work WORK --data DATASET --networks NETWORKS
    python benchmarks/false_events.py study --videos ../shared/data --work WORK --data DATASET --networks NETWORKS \
        [--boxes EXTRACTED]

DATASET is that of models/configs/surveillance_light.py, NETWORKS what ``benchmarks/tiers.py --work`` made: five
networks a tier, each of which did not see the source videos of its fold; ``train`` makes those of the light tier in
minutes, from labels alone, without the teacher that the shipped one has. Every video is judged by the network of the
fold that holds its source; videos of no fold by a fixed one of the five. Their temperatures are fitted as the recipe
does, on held-out clips: of the other four folds.

``find`` looks for people in ten pictures a second and keeps them, ``ask`` asks the networks (``--tier``) about these
people, each of them one file a video and each going on where it was interrupted; ``--every KIND=N`` takes every N-th
source of a kind. ``study`` plays the answers through the service's smoother, prints the table, keeps it in
benchmarks/results/false_events.json and, with ``--write-docs``, all tables in docs/ablations.md. With ``--boxes`` what
boxes say speaks beside the networks (``benchmarks.events.boxes``): EXTRACTED is the working folder of
`actoscope dataset extract` that DATASET was cut from. So ships the light tier, and its answers with boxes are kept for
the test of the defaults; what networks say alone and with boxes has a table each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document, tiers  # noqa: E402 -- after the lines above
from benchmarks.events.answers import ask, stored_run  # noqa: E402
from benchmarks.events.fights import fight_scores  # noqa: E402
from benchmarks.events.find import find_people  # noqa: E402
from benchmarks.events.folds import Folds, read_folds  # noqa: E402
from benchmarks.events.frames import frame_scores  # noqa: E402
from benchmarks.events.recorded import RECORDED, write_recorded  # noqa: E402
from benchmarks.events.study import (  # noqa: E402
    LATEST_S,
    MOST_FALSE,
    Setting,
    Tried,
    best,
    chosen_elsewhere,
    false_rate,
    settings,
    tried,
)
from benchmarks.events.table import BOXES, MODELS, markdown  # noqa: E402
from benchmarks.events.videos import FIGHTS, Video, read_videos, thinned  # noqa: E402
from models.configs.surveillance_light import CONFIG as LIGHT  # noqa: E402
from models.data.manifest import read_dataset  # noqa: E402
from models.evaluation.videos.event_curve import Watched, true_actions, whole_video  # noqa: E402
from models.evaluation.videos.metrics import VideoCase  # noqa: E402
from models.evaluation.videos.replay import Replay  # noqa: E402
from models.evaluation.videos.run import VideoRun  # noqa: E402
from models.evaluation.videos.truth import VideoTruth  # noqa: E402
from models.weights.cards import read_card  # noqa: E402
from models.weights.motion_head import MOTION_FILE  # noqa: E402
from pipeline.actions import Evidence  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from service.configuration import EngineConfig  # noqa: E402

DOCS = HERE.parent / "docs" / "ablations.md"
MARKS = document.marks("benchmarks/false_events.py")
LABEL = "Fighting"
NOW = Setting(Evidence())  # what every label needs
MOST = (2.0, 10.0, 50.0, 100.0)  # false events an hour
SHIPPED = f"light{BOXES}"  # what the test of the defaults plays


def train(arguments: argparse.Namespace) -> None:
    dataset, config = read_dataset(arguments.data), replace(LIGHT, distil=None, folds=0)
    options = tiers.Options(arguments.data, arguments.networks, arguments.work / "features", arguments.weights)
    for fold in range(1, tiers.FOLDS + 1):
        if not (tiers.fold_folder("light", fold, options) / "logits.npy").is_file():
            tiers.train_fold("light", fold, dataset, options, config)


def find(arguments: argparse.Namespace) -> None:
    find_people(_videos(arguments)[0], arguments.work / "people", _engine(arguments, "surveillance"), arguments.stop)


def ask_all(arguments: argparse.Namespace) -> None:
    folds, by_fold = _folds(arguments), defaultdict(list)
    stop = time.monotonic() + arguments.stop
    for video in _videos(arguments)[0]:
        by_fold[folds.of(video.group)].append(video)
    for fold, videos in sorted(by_fold.items()):
        network = folds.network(fold)
        if network.is_dir():
            engine = _engine(arguments, str(network.resolve()))
            ask(videos, arguments.work / "people", _answers(arguments), engine, stop)
        else:
            print(f"fold {fold}: no network yet in {network}", flush=True)


def study(arguments: argparse.Namespace) -> None:
    folds = _folds(arguments)
    videos, truths = _videos(arguments)
    runs = {video: run for video in videos if (run := _run(video, folds, _answers(arguments)))}
    cases = {video: VideoCase.of(run, truths[video.name]) for video, run in runs.items() if video.name in truths}
    watched = [_watched(video, run, cases.get(video)) for video, run in runs.items()]
    card = read_card(arguments.weights / MODELS[arguments.tier])
    shipped = Setting(card.evidence.get(LABEL, Evidence()))
    report = _report(watched, [folds.of(video.group) for video in runs], shipped) | {
        "ships": (MOTION_FILE in card.sha256) == (arguments.boxes is not None),
        "not_run": len(videos) - len(runs),
        "frames": frame_scores(list(cases.values())),
        "fights": fight_scores(runs, LABEL, folds.of),
    }
    name = arguments.tier + (BOXES if arguments.boxes else "")
    if name == SHIPPED:
        write_recorded(RECORDED, watched)
    _keep(name, report, arguments)


def _keep(name: str, report: dict[str, Any], arguments: argparse.Namespace) -> None:
    output = arguments.output
    reports = (json.loads(output.read_text("utf-8")) if output.is_file() else {}) | {name: report}
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, json.dumps(reports, indent=2, ensure_ascii=False) + "\n")
    print(markdown({name: report}))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(reports), MARKS)


def _report(watched: Sequence[Watched], of_fold: Sequence[int], shipped: Setting) -> dict[str, Any]:
    """Now, as shipped, the curve of the threshold, and the best settings by what may be false, with what these give
    elsewhere.
    """
    begin, everything = time.monotonic(), range(len(watched))
    candidates = tried(LABEL, watched, list(dict.fromkeys([*settings(), shipped])))
    by_setting = {each.setting: each for each in candidates}
    limits = {f"{most:g}": most for most in MOST}
    limits |= {"now": false_rate(by_setting[NOW]), "shipped": false_rate(by_setting[shipped])}
    curve = [each for each in candidates if each.setting == Setting(Evidence(each.setting.needs.on))]
    took_s = time.monotonic() - begin
    print(f"{len(candidates)} settings on {len(watched)} videos in {took_s:.0f} s", flush=True)
    return {
        "videos": len(watched),
        "now": by_setting[NOW].on(everything).model_dump(),
        "as_shipped": {"setting": asdict(shipped), "point": by_setting[shipped].on(everything).model_dump()},
        "curve": [each.on(everything).model_dump() for each in curve],
        "goal": _choice(candidates, of_fold, MOST_FALSE, LATEST_S),
        "at_most": {name: _choice(candidates, of_fold, most) for name, most in limits.items()},
        "as_smoothed_now": [
            {"setting": asdict(each.setting), "point": each.on(everything).model_dump()}
            for each in candidates
            if each.setting.time_constant_s == NOW.time_constant_s and each.setting.needs.clips == 1
        ],
    }


def _choice(
    candidates: Sequence[Tried], of_fold: Sequence[int], most_false: float, latest_s: float = float("inf")
) -> dict[str, Any] | None:
    """The best setting within the limits, what it gives, and what is to be expected elsewhere; None: there is none."""
    everything = range(len(of_fold))
    choice = best(candidates, everything, most_false, latest_s)
    elsewhere = chosen_elsewhere(candidates, of_fold, most_false, latest_s)
    if choice is None:
        return None
    return {
        "setting": asdict(choice.setting),
        "point": choice.on(everything).model_dump(),
        "elsewhere": None if elsewhere is None else elsewhere.model_dump(),
    }


def _run(video: Video, folds: Folds, answers: Path) -> VideoRun | None:
    """As its fold judges it; None where it was not run yet."""
    run = stored_run(answers, video)
    return None if run is None else folds.judged(video.group, run)


def _watched(video: Video, run: VideoRun, case: VideoCase | None) -> Watched:
    if video.kind != FIGHTS or case is None:
        return Watched(Replay(run), video.group, kind=video.kind)
    return Watched(Replay(run), video.group, None, true_actions(case, LABEL), whole_video(run))


def _videos(arguments: argparse.Namespace) -> tuple[list[Video], dict[str, VideoTruth]]:
    videos, truths = read_videos(arguments.videos)
    return thinned(videos, dict(arguments.every)), truths


def _folds(arguments: argparse.Namespace) -> Folds:
    return read_folds(read_dataset(arguments.data), arguments.networks / arguments.tier, arguments.boxes)


def _answers(arguments: argparse.Namespace) -> Path:
    return Path(arguments.work / "answers" / arguments.tier)


def _engine(arguments: argparse.Namespace, model: str) -> EngineConfig:
    cache = arguments.work / "converted"
    return EngineConfig(arguments.weights.resolve(), cache.resolve(), model, "openvino", threads=1)


def _kind_and_number(text: str) -> tuple[str, int]:
    kind, _, number = text.partition("=")
    return kind, int(number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "find", "ask", "study"))
    parser.add_argument("--videos", type=Path, required=True, help="../shared/data")
    parser.add_argument("--work", type=Path, required=True, help="people and answers")
    parser.add_argument("--data", type=Path, help="the data set that the folds divide")
    parser.add_argument("--networks", type=Path, help="the folder that benchmarks/tiers.py worked in")
    parser.add_argument("--tier", default="light", choices=("light", "full"))
    parser.add_argument("--boxes", type=Path, metavar="EXTRACTED", help="study with boxes beside the networks")
    parser.add_argument("--every", type=_kind_and_number, nargs="+", default=[], metavar="KIND=N")
    parser.add_argument("--stop", type=float, default=float("inf"), help="after so many seconds, between two videos")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="of the detector and what ships")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "false_events.json")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    if arguments.step != "find" and (arguments.data is None or arguments.networks is None):
        parser.error(f"{arguments.step} needs --data and --networks")
    {"train": train, "find": find, "ask": ask_all, "study": study}[arguments.step](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
