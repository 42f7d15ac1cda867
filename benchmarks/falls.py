"""Falls: how many of them become events, how late, and how many false ones an hour of calm video brings.

    python benchmarks/falls.py SHARED/data --dataset WORK/dataset [--as-recorded] [--trained] [--write-docs]

SHARED/data holds falls/, surveillance/, pets/, misc/, workout/ and ucf101/ (README there); WORK/dataset is that of
models/configs/home_light.py. Every video goes once through detector, tracker and clip buffers as in the service, and
frozen I3Ds give features of each clip (``fall_events.recording``). Output layers learn leaving one subject of falls/
out, with a share of the other source videos: logistic regressions on the recorded clips, or with --trained what the
configuration trains. What each would have said of every recorded clip follows from the features. Its answers go through
the service's smoother, alone and with what boxes say beside them (``fall_events.boxes``). Videos of a subject or a
source video are judged by the network that has not seen it; the others (workout, UCF101: nothing is trained on them)
take turns.

``actoscope evaluate --videos`` measures what a user has of one model on annotated people; this measures networks of
all folds at once, and counts alarms by video, whoever they are about: a fall breaks tracks. What was recorded and
trained is kept in --work, and not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document  # noqa: E402 -- after the lines above
from benchmarks.ablations import machine  # noqa: E402
from benchmarks.fall_events.boxes import beside, box_heads  # noqa: E402
from benchmarks.fall_events.heads import Head, fold_of, read_head, train_fold  # noqa: E402
from benchmarks.fall_events.judging import (  # noqa: E402
    FALLING,
    Counts,
    Fall,
    judged,
    poisson_upper,
    read_falls,
    run_of,
    wilson,
)
from models.configs.home_light import CONFIG as LIGHT  # noqa: E402
from models.data.manifest import Dataset, read_dataset  # noqa: E402
from models.training.config import TrainConfig  # noqa: E402
from pipeline.actions import SmootherConfig  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from pipeline.motion_voice import MotionHead  # noqa: E402

DOCS = HERE.parent / "docs" / "networks.md"
MARKS = document.marks("benchmarks/falls.py")
FALLS = HERE.parent / "models" / "configs" / "home_tracks" / "falls.csv"
SEGMENTS = FALLS.with_name("segments.csv")
TIERS: Mapping[str, TrainConfig] = {"light": LIGHT}
SUBJECTS = ("subject-1", "subject-2", "subject-3", "subject-4")
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Kind:
    """Videos of one kind: where they lie below the data folder, and in how many pictures people are looked for (every
    ``stride``-th)."""

    patterns: tuple[str, ...]
    stride: int = 1


KINDS: Mapping[str, Kind] = {
    "falls": Kind(("falls/*.mp4",)),
    "workout": Kind(("workout/*/*.mp4",), stride=4),
    "ucf101": Kind(("ucf101/**/*.avi",), stride=4),
    "noFight": Kind(("surveillance/noFight/*.mp4",), stride=4),
    "misc": Kind(("misc/*.mp4", "misc/*.264"), stride=2),
    "pets": Kind(("pets/vtest.avi",), stride=2),
}


@dataclass(frozen=True, slots=True)
class Options:
    """``data``: of the videos. ``dataset``: to learn from. ``work``: what was recorded and trained."""

    data: Path
    dataset: Path
    work: Path
    weights: Path


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks in one fold: a network's output, and boxes beside it."""

    network: Head
    boxes: MotionHead | None = None


def videos_of(kind: str, data: Path) -> list[Path]:
    return sorted(path for pattern in KINDS[kind].patterns for path in data.glob(pattern))


def record_all(tiers: Sequence[str], options: Options) -> None:
    """Record every video of which there is no file yet, for all ``tiers`` at once."""
    from benchmarks.fall_events.recording import record, recorded  # noqa: PLC0415 - keras takes seconds to import
    from service.configuration import EngineConfig  # noqa: PLC0415 - as above
    from service.engine import load_people_finder  # noqa: PLC0415 - as above

    missing = [(kind, video) for kind in KINDS for video in videos_of(kind, options.data)]
    missing = [(kind, video) for kind, video in missing if not recording_of(kind, video, options).is_file()]
    if not missing:
        return
    networks = [recorded(tier, TIERS[tier], options.weights) for tier in tiers]
    find_people = load_people_finder(EngineConfig(options.weights, options.work / "cache", threads=1))
    for kind, video in missing:
        record(video, find_people, networks, recording_of(kind, video, options), KINDS[kind].stride)


def recording_of(kind: str, video: Path, options: Options) -> Path:
    return options.work / "runs" / kind / f"{video.stem}.npz"


def regressions_of(tier: str, dataset: Dataset, options: Options) -> list[Head]:
    """→ a logistic regression for every fold."""
    from benchmarks.fall_events.regression import (  # noqa: PLC0415 - as above
        dataset_windows,
        read_segments,
        recorded_windows,
        regressions,
    )

    videos = {video: arrays for kind, video, arrays in recordings(options) if kind == "falls"}
    own = recorded_windows(videos, tier, read_falls(FALLS), read_segments(SEGMENTS), people_labelled())
    others = dataset_windows(TIERS[tier], dataset, SUBJECTS, options.weights, options.work / "features")
    return regressions(own + others, LABELS, SUBJECTS)


def people_labelled() -> dict[str, set[int]]:
    """→ the track ids that are labelled, by video."""
    people: dict[str, set[int]] = {}
    with FALLS.with_name("actions.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            people.setdefault(row["clip"], set()).add(int(row["track_id"]))
    return people


def trained_heads(tier: str, dataset: Dataset, options: Options) -> list[Head]:
    """→ the output layer of every fold, trained as `actoscope train` does where that is not done."""
    from models.training.run.train import Places  # noqa: PLC0415 - as above

    heads = []
    for fold in range(len(SUBJECTS)):
        folder = options.work / tier / f"fold-{fold + 1}"
        places = Places(folder / "weights", folder / "run", options.work / "features", options.weights)
        if not (folder / "run" / "logits.npy").is_file():
            places.run.mkdir(parents=True, exist_ok=True)
            train_fold(TIERS[tier], dataset, places, fold, SUBJECTS)
        heads.append(read_head(places.output))
    return heads


def counts_by_kind(
    tier: str, voices: Sequence[Voice], dataset: Dataset, options: Options, smoother: SmootherConfig
) -> dict[str, Counts]:
    """→ what the smoother makes of the answers to all videos, by kind; falls/ apart in falls and daily life."""
    homes, falls = fold_of_videos(dataset, options.data), read_falls(FALLS)
    counts: dict[str, Counts] = {}
    for kind, video, arrays in recordings(options):
        fold = homes.get(video, len(video) % len(voices))
        part = "daily life" if kind == "falls" and video not in falls else kind
        own = falls.get(video, [])
        counts[part] = counts.get(part, Counts()) + judged_video(tier, voices[fold], video, arrays, own, smoother)
    return counts


def judged_video(
    tier: str, voice: Voice, video: str, arrays: Mapping[str, Any], falls: Sequence[Fall], smoother: SmootherConfig
) -> Counts:
    features = arrays.get(f"{tier}.features", np.zeros((0, len(voice.network.weights)), np.float16))
    answers = voice.network.probabilities(features)
    if voice.boxes is not None and len(answers):
        answers = beside(voice.boxes, arrays, tier, answers)
    return judged(run_of(video, arrays, tier, LABELS, answers), falls, smoother)


LABELS = ("Falling", "Lying", "Sitting", "Standing", "Walking", "Other")


def recordings(options: Options) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for kind in KINDS:
        for path in sorted((options.work / "runs" / kind).glob("*.npz")):
            with np.load(path) as arrays:
                yield kind, path.stem, dict(arrays)


def fold_of_videos(dataset: Dataset, data: Path) -> dict[str, int]:
    """Video → the fold that has not seen it, of all videos whose source is learnt from."""
    groups = sorted({record.group for record in dataset.records})
    homes = {record.video: record.group for record in dataset.records}
    with (data / "surveillance" / "clips.csv").open(encoding="utf-8") as file:
        homes |= {row["clip"]: row["source_group"] for row in csv.DictReader(file)}
    return {video: fold_of(group, groups, SUBJECTS) for video, group in homes.items() if group in groups}


# ---- the table ----


def smoothers() -> dict[str, SmootherConfig]:
    """Threshold of a fall → the service's smoother with it; everything else as it is by default."""
    return {f"{on:.1f}": SmootherConfig(thresholds={FALLING: on}) for on in THRESHOLDS}


def report_of(tier: str, dataset: Dataset, options: Options, trained: bool = False) -> dict[str, Any]:
    """→ a curve of the network alone, and one with boxes beside it."""
    heads = (trained_heads if trained else regressions_of)(tier, dataset, options)
    boxes = box_heads(dataset, options.dataset.parent, SUBJECTS)
    alone = [Voice(head) for head in heads]
    both = [Voice(head, box) for head, box in zip(heads, boxes, strict=True)]
    return {"curve": curve(tier, alone, dataset, options), "with_boxes": curve(tier, both, dataset, options)}


def curve(tier: str, voices: Sequence[Voice], dataset: Dataset, options: Options) -> dict[str, Any]:
    counts = {on: counts_by_kind(tier, voices, dataset, options, smoother) for on, smoother in smoothers().items()}
    return {on: _row(each) for on, each in counts.items()}


def _row(counts: Mapping[str, Counts]) -> dict[str, Any]:
    """→ the falls' figures, and false events of all other kinds."""
    falls, others = counts.get("falls", Counts()), [each for kind, each in counts.items() if kind != "falls"]
    calm = sum(others, Counts())
    low, high = wilson(falls.found, falls.falls)
    return {
        "falls": falls.falls,
        "found": falls.found,
        "recall": [round(falls.found / max(1, falls.falls), 3), round(low, 3), round(high, 3)],
        "f1": round(falls.f1, 3),
        "delay_s": round(float(np.median(falls.delays_s)), 2) if falls.delays_s else None,
        "false": calm.false,
        "hours": round(calm.seconds / 3600, 3),
        "false_per_hour": [round(calm.false_per_hour, 2), round(poisson_upper(calm.false, calm.seconds / 3600), 2)],
        "by_kind": {kind: [each.false, round(each.seconds / 60, 1)] for kind, each in counts.items()},
    }


def markdown(report: Mapping[str, Any]) -> str:
    lines = [
        "| Network | threshold | falls found (95 %) | event F1 | delay | false falls an hour (97.5 %: at most) |",
        "|---|---|---|---|---|---|",
    ]
    for tier, given in report["tiers"].items():
        name = TIERS[tier].name
        for who, rows in ((name, given["curve"]), (f"{name} and boxes", given["with_boxes"])):
            lines += [f"| {' | '.join(_cells(who, on, row))} |" for on, row in rows.items()]
    return "\n".join(lines) + f"\n\n{_judged_by(report)}\n"


def _cells(who: str, on: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    share, low, high = row["recall"]
    rate, most = row["false_per_hour"]
    delay = "" if row["delay_s"] is None else f"{row['delay_s']:.1f} s"
    found = f"{row['found']} of {row['falls']}: {share:.2f} [{low:.2f}, {high:.2f}]"
    return who, on, found, f"{row['f1']:.2f}", delay, f"{rate:.1f} ({most:.1f})"


def _judged_by(report: Mapping[str, Any]) -> str:
    row = next(iter(next(iter(report["tiers"].values()))["curve"].values()))
    kinds = ", ".join(f"{kind} {minutes:.1f} min" for kind, (_, minutes) in row["by_kind"].items() if kind != "falls")
    return f"Calm video: {row['hours'] * 60:.1f} minutes ({kinds}); {report['machine']['cpu']}."


def main() -> int:
    arguments = _arguments()
    options = Options(arguments.data, arguments.dataset, arguments.work, arguments.weights)
    if not arguments.as_recorded:
        record_all(list(TIERS), options)
    dataset = read_dataset(options.dataset)
    report = {
        "machine": machine(),
        "tiers": {tier: report_of(tier, dataset, options, arguments.trained) for tier in arguments.only},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.output, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(markdown(report))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds falls/, surveillance/ and the others")
    parser.add_argument("--dataset", type=Path, required=True, help="the data set of models/configs/home_light.py")
    parser.add_argument("--only", nargs="+", choices=tuple(TIERS), default=list(TIERS), help="networks to judge")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--work", type=Path, default=HERE.parent / "runs" / "falls", help="recordings, trainings")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "falls.json")
    parser.add_argument("--trained", action="store_true", help="train as `actoscope train` does; else: regressions")
    parser.add_argument("--as-recorded", action="store_true", help="judge what was recorded so far, record nothing")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
