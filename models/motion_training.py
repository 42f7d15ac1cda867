"""Learns ``motion.json``, which speaks beside the networks of weights/surveillance: a regression on the ways of boxes.

    python -m models.motion_training --work work [--answers runs/NAME/cv_predictions.csv] [--output weights/NAME …]

WORK is the working folder of models/configs/surveillance_light.py with its data set: the same people, but their boxes
instead of their pixels. Each is learnt from as it is and in ``looks``: shorter, smoother and shakier, since cameras,
detectors and trackers differ in just that. Boxes and network count alike. How sure both together may be, a temperature
says: fitted on --answers, those of the network's own cross-validation, with heads that saw nothing of the same source
videos; without them it is ``TEMPERATURE``. --posture: heads know how a body comes down as
well, and learn from windows, as falls need it (models/configs/home_light.py). Without --output the folds are told, and
nothing is written. --without leaves one fold out, for a network of benchmarks/tiers.py that did not see it either.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.data.manifest import ClipRecord, Dataset, Split, read_dataset
from models.data.tracks.ways import labelled_ways
from models.errors import DatasetError
from models.evaluation.figures.calibration import calibration, fit_temperature, log_probabilities
from models.evaluation.figures.metrics import measure
from models.training.config import CLASS_WEIGHTS
from models.training.run.cross_validation import grouped_folds
from models.training.run.distil import labelled_part
from models.training.run.losses import balanced_class_weights
from models.weights.motion_head import write_motion_head
from pipeline.motion import Doubles, Way, motion
from pipeline.motion_voice import LEAST, SHARE, MotionHead

Rows = Sequence[Doubles]  # of each person (R, F): a row a look
UNLABELLED = ("Unclear",)
FOLDS, SEED = 5, 0  # as the configs' own cross-validation
STRENGTH = 0.03  # scikit-learn's C
WINDOW = 64  # samples: a clip of the networks
HOP, MOST_WINDOWS = 16, 12  # samples between windows, and how many a person has, with ``posture``
SHORTEST = 12  # samples, as in the service's first clips
SMOOTH = 5  # samples
SHAKE = 0.015  # of a box's height, standard deviation
SIGNIFICANT = 7  # digits that are kept
TEMPERATURE = 0.55  # of two opinions that count alike, as fitted on the folds of benchmarks/voices.py


def people(dataset: Dataset, work: Path) -> list[Way]:
    """→ the ways of train and val, in the order of their records. Raises DatasetError."""
    ways = labelled_ways(work, dataset.records)
    known = {each.record.path: each.way for found in ways.values() for each in found}
    return [known[record.path] for record in (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))]


def looks(way: Way, seed: int, posture: bool = False) -> Doubles:
    """→ (R, F): the way as it is, then its last and first window, halves, smoothed and shaken.

    With ``posture`` its windows alone, as the service sees them: a fall is told by where in a clip it is over.
    """
    length, half = len(way.boxes), min(len(way.boxes), WINDOW) // 2
    if posture:
        return np.stack([motion(_part(way, at, at + WINDOW), posture) for at in _starts(length)])
    spans = [(0, length), (max(0, length - WINDOW), length), (0, min(length, WINDOW))]
    if half >= SHORTEST:
        spans += [(0, half), (length - half, length)]
    parts = [_part(way, *span) for span in dict.fromkeys(spans)]
    rng = np.random.default_rng(seed)
    return np.stack([motion(each) for each in (*parts, _smoothed(way), _shaken(way, rng))])


def _starts(length: int) -> list[int]:
    """→ where windows of a way begin: the first and the last, ``HOP`` apart or evenly ``MOST_WINDOWS``."""
    last = max(0, length - WINDOW)
    count = min(MOST_WINDOWS, 1 + -(-last // HOP))
    return sorted({round(at) for at in np.linspace(0, last, count)})


def _part(way: Way, first: int, last: int) -> Way:
    return Way(way.boxes[first:last], way.others[:, first:last])


def _smoothed(way: Way) -> Way:
    """A moving mean, as a tracker's filter does."""
    reach = SMOOTH // 2
    padded = np.pad(way.boxes, ((reach, reach), (0, 0)), "edge")
    return Way(np.mean([padded[at : at + len(way.boxes)] for at in range(SMOOTH)], axis=0), way.others)


def _shaken(way: Way, rng: np.random.Generator) -> Way:
    height = float(np.median(way.boxes[:, 3] - way.boxes[:, 1]))
    return Way(way.boxes + rng.normal(0, SHAKE * height, way.boxes.shape), way.others)


def fit_head(rows: Rows, targets: NDArray[np.int64], labels: tuple[str, ...]) -> MotionHead:
    """→ what learnt ``targets`` (N,) from ``rows``; of many looks each weighs less. Every label has an example."""
    counts = np.asarray([len(each) for each in rows])
    factors = dict(enumerate(balanced_class_weights(targets.tolist(), len(labels), CLASS_WEIGHTS["root"])))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000, class_weight=factors))
    weights = {"logisticregression__sample_weight": np.repeat(1 / counts, counts)}
    model.fit(np.concatenate(list(rows)), np.repeat(targets, counts), **weights)
    return _head(model, labels)


def _head(model: Any, labels: tuple[str, ...]) -> MotionHead:
    scaler, regression = model[0], model[1]
    rows, intercepts = regression.coef_, regression.intercept_
    if len(rows) == 1:  # of two classes scikit-learn keeps the second only
        rows, intercepts = np.concatenate([0 * rows, rows]), np.concatenate([0 * intercepts, intercepts])
    return MotionHead(
        labels=labels,
        means=_rounded(scaler.mean_),
        scales=_rounded(scaler.scale_),
        coefficients=tuple(_rounded(row) for row in rows),
        intercepts=_rounded(intercepts),
    )


def _rounded(values: Doubles) -> tuple[float, ...]:
    return tuple(float(f"{value:.{SIGNIFICANT}g}") for value in values)


def held_out(rows: Rows, dataset: Dataset, posture: bool = False) -> Doubles:
    """→ (N, C) log probabilities of each person as it is, by a head that saw nothing of its source video.

    With ``posture`` the mean over a person's windows: each tells another time.
    """
    found = np.zeros((len(rows), len(dataset.labels)))
    for fold, head in fold_heads(rows, dataset):
        found[fold] = said(head, [rows[index] for index in fold], posture)
    return found


def fold_heads(rows: Rows, dataset: Dataset) -> list[tuple[NDArray[np.int64], MotionHead]]:
    """→ of each fold the people that it holds out, by their place in ``rows``, and what learnt from all others."""
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    targets = np.asarray(dataset.targets(records), np.int64)
    heads = []
    for fold in grouped_folds(records, targets.tolist(), FOLDS, SEED):
        inside = np.setdiff1d(np.arange(len(rows)), fold)
        heads.append((fold, fit_head([rows[index] for index in inside], targets[inside], dataset.labels)))
    return heads


def said(head: MotionHead, rows: Rows, posture: bool = False) -> Doubles:
    """→ (N, C) log probabilities of each person as it is; with ``posture`` the mean over a person's windows."""
    told = rows if posture else [row[:1] for row in rows]
    return np.asarray([np.mean([head.log_chances(row) for row in each], axis=0) for each in told])


def fused(network: Doubles, moved: Doubles, share: float = SHARE) -> Doubles:
    """Log probabilities (N, C) of a network and of boxes → both together, before any temperature."""
    least = np.log(LEAST)
    return np.asarray((1 - share) * np.maximum(network, least) + share * np.maximum(moved, least))


def read_answers(path: Path, dataset: Dataset) -> Doubles:
    """→ (N, C) log probabilities of ``cv_predictions.csv``, calibrated, in the order of train and val.

    Raises DatasetError for a file that cannot be read, or that lacks somebody.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = {row["path"]: [float(row[label]) for label in dataset.labels] for row in csv.DictReader(stream)}
        records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
        logits = np.asarray([rows[record.path.relative_to(dataset.folder).as_posix()] for record in records])
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} holds no answers to every clip of {dataset.folder}: {error!r}") from error
    targets = np.asarray(dataset.targets(records), np.int64)
    return log_probabilities(logits, fit_temperature(logits, targets))


def main() -> int:
    arguments = _arguments()
    dataset = labelled_part(read_dataset(arguments.data or arguments.work / "dataset"), UNLABELLED)
    rows = [looks(way, seed, arguments.posture) for seed, way in enumerate(people(dataset, arguments.work))]
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    targets = np.asarray(dataset.targets(records), np.int64)
    moved, temperature = held_out(rows, dataset, arguments.posture), TEMPERATURE
    _tell("boxes alone", moved, targets, dataset)
    if arguments.answers is not None:
        network = read_answers(arguments.answers, dataset)
        both = fused(network, moved, arguments.share)
        temperature = fit_temperature(both, targets)
        _tell("the network alone", network, targets, dataset)
        _tell(f"both, temperature {temperature:.3f},", both / temperature, targets, dataset)
    learnt = np.setdiff1d(np.arange(len(rows)), _fold(arguments.without, records, targets))
    head = fit_head([rows[index] for index in learnt], targets[learnt], dataset.labels)
    head = replace(head, temperature=round(temperature, 4), share=arguments.share)
    for folder in arguments.output:
        write_motion_head(folder, head)
        _say(f"{folder} speaks with the motion of boxes")
    return 0


def _fold(number: int, records: Sequence[ClipRecord], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """→ the people of fold ``number`` from 1, of none for 0."""
    folds = grouped_folds(records, targets.tolist(), FOLDS, SEED)
    return folds[number - 1] if number else np.empty(0, np.int64)


def _tell(what: str, logits: Doubles, targets: NDArray[np.int64], dataset: Dataset) -> None:
    found = measure(logits, targets, dataset.labels)
    error = calibration(logits, targets).ece
    told = ", ".join(f"{each.label} {each.f1:.3f}" for each in found.classes)
    _say(f"{what} on {len(targets)} people, held out: macro F1 {found.macro_f1:.3f} ({told}), ECE {error:.3f}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="working folder of `actoscope dataset extract`")
    parser.add_argument("--data", type=Path, help="its data set; default: WORK/dataset")
    parser.add_argument("--answers", type=Path, help="cv_predictions.csv of the network's training")
    parser.add_argument(
        "--without", type=int, default=0, choices=range(FOLDS + 1), metavar="FOLD", help="not learnt from, 1 to 5"
    )
    parser.add_argument("--posture", action="store_true", help="features of how a body comes down and up, too")
    parser.add_argument("--share", type=float, default=SHARE, help="of the boxes, beside the network; default: 0.5")
    parser.add_argument("--output", type=Path, nargs="*", default=[], help="weights folders whose networks it joins")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
