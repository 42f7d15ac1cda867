"""Corrections of three cameras that a network has never seen, on real video: what they gain, and what others lose.

    actoscope dataset clips work --whole --format ffv1 --rate 6.25 --shortest 2 --exclude Unclear \\
        --classes Fighting,Standing,Walking,Other --output work/at-6.25
    python -m benchmarks.retraining --data work/at-6.25 --work runs/retraining

``work`` is the working folder of ``models/configs/surveillance_light.py``; crops have the rate at which its network
reads them, as those of corrections have. The three source videos of the split train with the most tracks, of those with
five clips and three classes at least, are taken out. The champion, the light network whose output learns anew, is
trained on the rest of train; its best epoch is chosen by val, which favours it there. Of each of the three videos half
of the clips become corrections with the labels that exist; the other half is the audit sample. Then one version is made
with the base data, and one without. Reported: macro F1 of the champion and of both, on the other half of each video and
on val, and between which differences 80 % of the paired draws of clips lie.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from models.classifier import ActionClassifier
from models.configs.surveillance_light import CONFIG
from models.data.imports.corrections import CLIP_FILE, CorrectionFacts, find_corrections, write_facts
from models.data.manifest import ClipRecord, Dataset, Split, read_dataset, write_dataset
from models.evaluation.compare import paired_difference
from models.evaluation.figures.predictions import Predictions, predict
from models.retraining.gate import SIDED, f1_of
from models.retraining.order import Order
from models.retraining.retrain import Outcome, retrain
from models.training.run.train import Places, Teller, train
from pipeline.files import file_sha256, write_atomically

RESULTS = Path(__file__).parent / "results" / "retraining.json"
ALIAS = "surveillance-light"
CAMERAS, CLIPS, CLASSES = 3, 5, 3
KNOWN = ("Fighting", "Standing", "Walking", "Other")


@dataclass(frozen=True)
class Row:
    """``low``, ``high``: of the difference to the champion, each passed by 90 % of the draws."""

    on: str
    clips: int
    champion: float
    retrained: float
    low: float
    high: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/retraining"))
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="directory with i3d-kinetics400")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--cameras", nargs="+", help="source videos, where not the three of the rule")
    arguments = parser.parse_args()
    whole = labelled(read_dataset(arguments.data))
    cameras = arguments.cameras or chosen(whole)
    work = arguments.work.resolve()
    base = base_without(whole, cameras, work / "base")
    make_champion(base, work, arguments.weights)
    write_verdicts(whole, cameras, work / "verdicts")
    versions: dict[str, dict[str, Any]] = {}
    for name, folder in (("with base data", work / "base"), ("without", None)):
        outcome = version(work, name.split()[0], folder)
        versions[name] = {
            "version": outcome.version,
            "learnt": outcome.learnt,
            "left_out": dict(outcome.left_out),
            "gate": outcome.gate.model_dump(),
            "rows": [asdict(row) for row in rows(whole, cameras, work, outcome.version)],
        }
    write_atomically(arguments.output, json.dumps({"cameras": cameras, "versions": versions}, indent=1) + "\n")
    for name, found in versions.items():
        print(f"\n{name}: learnt from {found['learnt']} corrections")
        for row in found["rows"]:
            change = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
            print(f"  {row['on']:<28}{row['clips']:>5}  {row['champion']:.3f} → {row['retrained']:.3f}  {change}")


def labelled(dataset: Dataset) -> Dataset:
    """→ the data set of the four classes alone."""
    info = dataset.info.model_copy(update={"class2label": {label: number for number, label in enumerate(KNOWN)}})
    return Dataset(dataset.folder, info, tuple(each for each in dataset.records if each.label in KNOWN))


def chosen(dataset: Dataset) -> list[str]:
    by_group: defaultdict[str, list[ClipRecord]] = defaultdict(list)
    for each in dataset.of(Split.TRAIN):
        by_group[each.group].append(each)
    fit = {
        group: len(records)
        for group, records in by_group.items()
        if len({each.video for each in records}) >= CLIPS and len({each.label for each in records}) >= CLASSES
    }
    return sorted(fit, key=lambda group: -fit[group])[:CAMERAS]


def base_without(whole: Dataset, cameras: Sequence[str], folder: Path) -> Dataset:
    """→ the data set without these, in a folder of its own that links to the clips."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "whole"
    if not link.is_symlink():
        link.symlink_to(whole.folder.resolve(), target_is_directory=True)
    records = tuple(
        replace(each, path=link / each.path.relative_to(whole.folder))
        for each in whole.records
        if each.group not in cameras and each.split in (Split.TRAIN, Split.VAL)
    )
    dataset = Dataset(folder, whole.info, records)
    write_dataset(dataset)
    return dataset


def make_champion(base: Dataset, work: Path, weights: Path) -> None:
    """The light network whose output learns from train alone; its teacher and its folds are left out."""
    output = work / "weights" / ALIAS
    if output.is_dir():
        return
    window = replace(CONFIG.input.window, speed=1.0)
    config = replace(CONFIG, input=replace(CONFIG.input, window=window), distil=None, folds=0, refit_on="train")
    places = Places(output, work / "champion", work / "features", weights)
    train(config, base, places, Teller(lambda *_: None, print), resume=True)


def write_verdicts(whole: Dataset, cameras: Sequence[str], folder: Path) -> None:
    """Every second clip of a video is corrected, the others are its audit sample; a clip is an incident."""
    for camera in cameras:
        records = [each for each in whole.of(Split.TRAIN) if each.group == camera]
        clips = sorted({each.video for each in records})
        for each in records:
            write_verdict(folder, each, camera, audit=clips.index(each.video) % 2 == 1, hour=clips.index(each.video))


def write_verdict(folder: Path, each: ClipRecord, camera: str, audit: bool, hour: int) -> None:
    own = folder / each.path.stem.replace(".", "-")
    if own.is_dir():
        return
    part = own.with_name(f".{own.name}")
    part.mkdir(parents=True, exist_ok=True)
    clip = part / CLIP_FILE
    if not clip.exists():
        os.link(each.path.resolve(), clip)
    at = datetime.fromtimestamp(1_700_000_000 + 3600 * hour, timezone.utc).isoformat()
    facts = CorrectionFacts(
        id=own.name,
        event_id=own.name,
        stream_id=f"camera-{camera}",
        stream_name=f"camera {camera}",
        track_id=hour * 1000 + each.track_id,
        group=f"camera-{camera}/{each.video}",
        start_s=each.start_s,
        end_s=each.end_s,
        started_at=at,
        label=each.label,
        said="",
        verdict="wrong",
        by="the labels of the data set",
        at=at,
        model=None,
        model_version=None,
        split="audit" if audit else "train",
        near_threshold=False,
        sha256=file_sha256(clip),
    )
    write_facts(part, facts)
    part.rename(own)


def version(work: Path, name: str, base: Path | None) -> Outcome:
    order = Order(
        parent=ALIAS,
        corrections=work / "verdicts",
        weights=work / "weights",
        run=work / f"run-{name}",
        cache=work / "features",
        base=base,
        force_count=True,
    )
    return retrain(order, lambda _: None, lambda *_: None)


def rows(whole: Dataset, cameras: Sequence[str], work: Path, retrained: str) -> list[Row]:
    """The halves that were not corrected, each video and together, then val."""
    verdicts = {
        each.facts.id for each in find_corrections(work / "verdicts").corrections if each.facts.split == "audit"
    }
    of_cameras = [each for each in whole.of(Split.TRAIN) if each.group in cameras]
    rest = [each for each in of_cameras if each.path.stem.replace(".", "-") in verdicts]
    parts = {f"rest of camera {camera}": [each for each in rest if each.group == camera] for camera in cameras}
    parts = {**parts, "rest of the three": rest, "other cameras (val)": list(whole.of(Split.VAL))}
    classifiers = [
        ActionClassifier.load(work / "weights" / name, "openvino", work / "cache") for name in (ALIAS, retrained)
    ]
    found = []
    for name, records in parts.items():
        before, after = (by_clip(predict(each, whole, records)) for each in classifiers)
        difference = paired_difference(before, after, SIDED)
        found.append(Row(name, len(records), f1_of(before), f1_of(after), difference.low, difference.high))
    return found


def by_clip(said: Predictions) -> Predictions:
    """→ the same, in groups of one clip of video each: of one camera there is no other."""
    return replace(said, records=tuple(replace(each, group=f"{each.group}/{each.video}") for each in said.records))


if __name__ == "__main__":
    main()
