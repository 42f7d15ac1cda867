"""What the full network's output may read: one depth of I3D or three, frozen, beside what ships; each with boxes.

    python benchmarks/depths.py --work WORK [--only ROW …] [--draws 1] [--tiers runs/tiers] [--write-docs]

WORK is the working folder of models/configs/surveillance_light.py, with the data set in it. Every row is trained anew
in the five grouped folds of that configuration, keeps its last epoch and answers the clips of its fold; figures are of
all answers together, with percentile intervals over source videos, and differences are paired. The row of what ships,
whose last blocks learn, takes the answers of ``benchmarks/tiers.py --only full`` where all five folds are done; that of
whole scenes those of ``benchmarks/scenes.py``. What boxes say (``models.motion_training``) was learnt in the same
folds; both count alike. The calibration error is that with temperatures fitted on other source videos.

Features are computed once and kept in --cache, where trainings find them too; the row of the last depth takes its part
of those of three. ``--draws`` is the number of augmentation draws of a clip for learning, the first being the plain
one. Rows go on where they were interrupted. The table is printed, kept in benchmarks/results/depths.json and, with
--write-docs, put into docs/ablations.md. A row that is not asked for keeps the figures of an earlier run on as many
clips and draws.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document  # noqa: E402 -- after the lines above
from benchmarks.ablation.figures import measured, paired_difference  # noqa: E402
from benchmarks.ablation.table import ranged  # noqa: E402
from benchmarks.ablations import machine  # noqa: E402
from benchmarks.tiers import FOLDS, PREDICTIONS, REFERENCE, SEED, known_part  # noqa: E402
from benchmarks.tiers import ROWS as NETWORKS  # noqa: E402
from models.data.manifest import ClipRecord, Dataset, Split, read_dataset  # noqa: E402
from models.evaluation.figures.calibration import (  # noqa: E402
    calibration,
    fit_by_group,
    fit_temperature,
    log_probabilities,
)
from models.evaluation.figures.predictions import Predictions  # noqa: E402
from models.motion_training import fused, held_out, looks, people, read_answers  # noqa: E402
from models.training.config import (  # noqa: E402
    LossConfig,
    Mode,
    NetworkConfig,
    OptimizerConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)
from models.training.run.cross_validation import grouped_folds  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

Floats = NDArray[np.float64]
DOCS = HERE.parent / "docs" / "ablations.md"
MARKS = document.marks("benchmarks/depths.py")
THREE = NetworkConfig(depths=("Mixed_4c", "Mixed_4f", "Mixed_5c"))  # those of the teacher of the light network
LAST_WIDTH = 1024  # numbers of Mixed_5c, the last ones of the three
BOXES = " and boxes"
FROZEN = TrainConfig(
    name="depths",
    network=THREE,
    transfer=TransferConfig(cache_at="AvgPool3d", unfreeze=(Unfreeze(0, "new"),)),
    loss=LossConfig(class_weights="root"),
    optimizer=OptimizerConfig(learning_rate=1e-2, weight_decay=5e-2),
    epochs=20,
    batch_size=64,
    weight_average=0.7,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A way to learn, in words and as a training; None: another script's, which left its answers."""

    label: str
    config: TrainConfig | None


BASE, SHIPS, SCENES = "last", "surveillance", "scenes"
LEARNT = NETWORKS[REFERENCE].config.transfer.draws
ROWS: Mapping[str, Row] = {
    BASE: Row("the last depth, output only", replace(FROZEN, network=NetworkConfig(depths=THREE.depths[-1:]))),
    "three": Row("three depths, output only", FROZEN),
    SHIPS: Row(f"the last depth, from Mixed_5b on, as `surveillance`, on {LEARNT} draws", None),
    SCENES: Row("whole scenes, a Video Action Transformer on Mixed_4f, as `surveillance_scene`", None),
}
TRAINED = tuple(name for name, row in ROWS.items() if row.config)


@dataclass(frozen=True, slots=True)
class Options:
    """``answers``: trainings, and one file of answers a row and fold. ``cache``: features. ``draws`` of a clip."""

    answers: Path
    cache: Path
    weights: Path
    draws: int


def asked(name: str, dataset: Dataset, options: Options) -> Floats:
    """→ (N, C): the row's logits of each clip of train and val, by a training without its source video."""
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    found = np.zeros((len(records), len(dataset.labels)))
    for number, judged in enumerate(grouped_folds(records, dataset.targets(records), FOLDS, SEED), 1):
        folder = options.answers / f"{name}, {options.draws} draws, {len(records)} clips" / f"fold-{number}"
        if not (folder / "logits.npy").is_file():
            sides = [records[i] for i in np.setdiff1d(np.arange(len(records)), judged)], [records[i] for i in judged]
            train_fold(_config(name), sides, dataset, options, folder)
            _say(f"{name}: fold {number} of {FOLDS}")
        found[judged] = np.load(folder / "logits.npy")
    return found


def train_fold(
    config: TrainConfig,
    sides: tuple[list[ClipRecord], list[ClipRecord]],
    dataset: Dataset,
    options: Options,
    folder: Path,
) -> None:
    """Learns from the first side → ``logits.npy`` of the second."""
    from models.training.run.loop import predict  # noqa: PLC0415 - keras takes seconds to import
    from models.training.run.train import Job, Places, Teller  # noqa: PLC0415

    config = replace(config, transfer=replace(config.transfer, draws=options.draws))
    places = Places(folder, folder, options.cache, options.weights)
    job = Job(config, dataset, places, Teller(lambda *_: None, lambda _: None), folder, keep_last=True)
    network, splits = job.prepare(*sides)
    job.fit(network, splits)
    np.save(folder / "logits.npy", predict(network.model, splits.val or splits.train))  # every fold holds something out


def share_features(dataset: Dataset, options: Options) -> None:
    """What is kept of three depths holds the last one: its row computes nothing."""
    three, last = (_kept_in(_config(name), dataset, options) for name in ("three", BASE))
    last.mkdir(parents=True, exist_ok=True)
    for file in three.glob("*.npy"):
        if not (last / file.name).is_file():
            kept = np.load(file)[..., -LAST_WIDTH:]
            write_atomically(last / file.name, partial(_save, kept))


def _config(name: str) -> TrainConfig:
    config = ROWS[name].config
    if config is None:
        raise ValueError(f"{name} is trained by another script, expected one of {', '.join(TRAINED)}")
    return config


def _kept_in(config: TrainConfig, dataset: Dataset, options: Options) -> Path:
    """→ the folder of the features that a training keeps."""
    from models.training.run.networks import trainable  # noqa: PLC0415
    from models.weights.start import find_weights, read_start  # noqa: PLC0415

    start = read_start(find_weights(config.network.init, options.weights))
    model = trainable(config).build(Mode.RGB, dataset.labels, start)
    return options.cache / trainable(config).front(Mode.RGB, model).name


def _save(kept: NDArray[np.float16], stream: IO[bytes]) -> None:
    np.save(stream, kept)


# ---- figures ----


def report_of(answers: Mapping[str, Floats], moved: Floats, dataset: Dataset) -> dict[str, Any]:
    """``answers`` (N, C) by row, ``moved`` (N, C): what boxes say → the figures of each, alone and with boxes."""
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    targets = np.asarray(dataset.targets(records), np.int64)
    said = {"boxes": moved}
    for name, logits in answers.items():
        own = log_probabilities(logits, fit_temperature(logits, targets))
        said |= {name: own, f"{name}{BOXES}": fused(own, moved)}
    given = {name: Predictions(dataset.labels, records, logits, targets) for name, logits in said.items()}
    rows = {name: figures_of(each, given.get(BASE) if name != BASE else None) for name, each in given.items()}
    for name in answers:
        rows[f"{name}{BOXES}"]["to_alone"] = paired_difference(given[f"{name}{BOXES}"], given[name])
    return {"labels": list(dataset.labels), "clips": len(records), "rows": rows}


def figures_of(given: Predictions, base: Predictions | None) -> dict[str, Any]:
    """→ a row's figures, its paired difference to the base row, and the calibration error."""
    found = measured(given, base)
    error = calibration(given.logits, given.targets, fit_by_group(given.logits, given.targets, given.groups)).ece
    kept = {"macro_f1": found.macro_f1, "macro_f1_three": found.macro_f1_three, "f1": found.f1}
    return kept | {"difference": found.difference, "ece": round(error, 4)}


def with_earlier(report: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """→ the report, with rows of an earlier one on as many clips and draws that this one has not."""
    same = all(before.get(key) == report[key] for key in ("labels", "clips", "draws"))
    return report | {"rows": {**(before["rows"] if same else {}), **report["rows"]}}


def markdown(report: Mapping[str, Any]) -> str:
    """The table. Rows that were not measured say so."""
    lines = [
        f"| | macro F1, 4 classes | macro F1, 3 classes | to the first row | boxes add | F1: "
        f"{', '.join(report['labels'])} | ECE |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        for ending in ("", BOXES):
            lines.append(f"| {row.label}{ending} | {_cells(report['rows'].get(name + ending))} |")
    lines.append(f"| boxes alone | {_cells(report['rows'].get('boxes'))} |")
    seen = f"{report['draws']} draws" if report["draws"] > 1 else "the plain draw"
    by = f"{report['clips']} held-out clips of {FOLDS} folds, {seen} of each clip learnt from where no other is named"
    return "\n".join(lines) + f"\n\n{by}, {report['machine']['cpu']}.\n"


def _cells(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not run | | | | |"
    differences = [ranged(row[key], "+") if row.get(key) else "" for key in ("difference", "to_alone")]
    classes = " ".join(f"{value:.2f}" for value in row["f1"].values())
    figures = (ranged(row["macro_f1"]), ranged(row["macro_f1_three"]), *differences, classes, f"{row['ece']:.3f}")
    return " | ".join(figures)


def main() -> int:
    arguments = _arguments()
    dataset = known_part(read_dataset(arguments.data or arguments.work / "dataset"))
    options = Options(arguments.answers, arguments.cache, arguments.weights, arguments.draws)
    answers: dict[str, Floats] = {}
    for name in sorted(arguments.only, key=("three", *ROWS).index):
        if name == BASE:
            share_features(dataset, options)
        answers[name] = asked(name, dataset, options)
    for name, file in ((SHIPS, arguments.tiers / REFERENCE / PREDICTIONS), (SCENES, arguments.scenes / PREDICTIONS)):
        if file.is_file():
            answers[name] = read_answers(file, dataset)
    moved = held_out([looks(way, seed) for seed, way in enumerate(people(dataset, arguments.work))], dataset)
    report = report_of(answers, moved, dataset) | {"draws": options.draws, "machine": machine()}
    if arguments.output.is_file():
        report = with_earlier(report, json.loads(arguments.output.read_text("utf-8")))
    write_atomically(arguments.output, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(markdown(report))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="working folder of `actoscope dataset extract`")
    parser.add_argument("--data", type=Path, help="its data set; default: WORK/dataset")
    parser.add_argument(
        "--only", nargs="*", choices=TRAINED, default=TRAINED, metavar="ROW", help="rows to train; none: no training"
    )
    parser.add_argument("--draws", type=int, default=1, help="of each clip that is learnt from")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache" / "features", help="features, shared")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--answers", type=Path, default=HERE.parent / "runs" / "depths", help="trainings, answers")
    parser.add_argument("--tiers", type=Path, default=HERE.parent / "runs" / "tiers", help="of benchmarks/tiers.py")
    parser.add_argument("--scenes", type=Path, default=HERE.parent / "runs" / "scenes", help="of benchmarks/scenes.py")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "depths.json")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
