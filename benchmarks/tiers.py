"""What a cheaper network can be: the full one, the same on fewer and smaller pictures, the light one that ships, and
two small ones from random weights.

    python benchmarks/tiers.py --data DATASET [--folds 1 2 …] [--only ROW …] [--write-docs]
    python benchmarks/tiers.py --precisions weights/surveillance-light

DATASET is that of models/configs/surveillance_light.py. Folds are the five grouped ones of the configs' own
cross-validation (the same groups, the same seed). Every row is trained anew for each fold, without a clip or an
unlabelled track of the groups that judge it, keeps its last epoch, and answers its held-out clips. Figures are of the
answers of all folds that the row has done, with percentile intervals over groups; the difference to the full network is
paired, where that has done them, too. Rows that an earlier run measured on as many clips keep their figures. CPU
seconds are of OpenVINO on one thread, the networks taking turns clip by clip: as this machine runs them by itself, and
in float32 limited to AVX2 (``ONEDNN_MAX_CPU_ISA``).

Trainings go on where they were interrupted; a fold that is done is not done again. Rows with all five leave
``cv_predictions.csv`` beside them, for ``python -m models.motion_training --answers``. The table is printed, kept in
benchmarks/results/tiers.json and, with --write-docs, put into docs/ablations.md.

``--precisions`` only tells what a clip of one network costs in float32, in what this machine multiplies natively and in
int8 (``actoscope export NAME --format openvino-int8`` first), with and without the limit, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document  # noqa: E402 -- after the lines above
from benchmarks.ablation.figures import Result, measured  # noqa: E402
from benchmarks.ablation.table import ranged  # noqa: E402
from benchmarks.ablations import machine  # noqa: E402
from benchmarks.comparison.worker import Job as Timing  # noqa: E402
from benchmarks.comparison.worker import Worker  # noqa: E402
from models.configs.surveillance import CONFIG as FULL  # noqa: E402
from models.configs.surveillance_light import CONFIG as LIGHT  # noqa: E402
from models.configs.surveillance_movinet import CONFIG as MOVINET  # noqa: E402
from models.configs.surveillance_shufflenet import CONFIG as SHUFFLENET  # noqa: E402
from models.data.batches.clip_window import WindowConfig  # noqa: E402
from models.data.manifest import ClipRecord, Dataset, Split, read_dataset  # noqa: E402
from models.evaluation.figures.predictions import Predictions  # noqa: E402
from models.training.config import ClipInput, TrainConfig, TransferConfig, Unfreeze  # noqa: E402
from models.training.run.cross_validation import grouped_folds  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

DOCS = HERE.parent / "docs" / "ablations.md"
MARKS = document.marks("benchmarks/tiers.py")
FOLDS, SEED = 5, 0  # as in the configs' own cross-validation
REFERENCE = "full"
SHIPPED: Mapping[str, str] = {REFERENCE: "surveillance", "light": "surveillance-light"}  # what their clips cost
UNLABELLED = ("Unclear",)
ISAS: Mapping[str, tuple[str, str]] = {"native": ("", "auto"), "avx2": ("AVX2", "f32")}  # limit, precision
ROUNDS = 15
PREDICTIONS = "cv_predictions.csv"


@dataclass(frozen=True, slots=True)
class Row:
    """A network of the table. ``start``: what it begins with and how long it learns, for people."""

    label: str
    config: TrainConfig
    start: str


SMALL = replace(
    FULL,
    input=ClipInput(window=WindowConfig(32, speed=2.0), size=112),
    transfer=replace(FULL.transfer, draws=2),
)
ROWS: Mapping[str, Row] = {
    REFERENCE: Row(
        "SE-I3D, 64×224² (`surveillance`)",
        replace(FULL, transfer=replace(FULL.transfer, draws=2)),
        "Kinetics-400, from Mixed_5b, {epochs} epochs on 2 draws",
    ),
    "small": Row("SE-I3D, 32×112²", SMALL, "Kinetics-400, from Mixed_5b, {epochs} epochs on 2 draws"),
    "small-deep": Row(
        "SE-I3D, 32×112², more of it",
        replace(
            SMALL,
            transfer=TransferConfig(cache_at="MaxPool3d_4a_3x3", draws=4, unfreeze=(Unfreeze(0, "Mixed_4b"),)),
            epochs=8,
        ),
        "Kinetics-400, from Mixed_4b, {epochs} epochs on 4 draws",
    ),
    "light": Row(
        "light I3D, 16×96² (`surveillance-light`)",
        replace(LIGHT, transfer=replace(LIGHT.transfer, cache_at="MaxPool3d_4a_3x3")),  # so that more may learn
        "Kinetics-400, output only, {epochs} epochs",
    ),
    "shufflenet": Row("ShuffleNetV2-3D, 16×112²", SHUFFLENET, "nothing, {epochs} epochs"),
    "movinet": Row("MoViNet-A0 stream, 16×112²", MOVINET, "nothing, {epochs} epochs"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Where things lie. ``work``: trainings and answers. ``cache``: features. ``weights``: of the weights folders."""

    data: Path
    work: Path
    cache: Path
    weights: Path


def known_part(dataset: Dataset) -> Dataset:
    """→ the labelled classes alone."""
    from models.training.run.distil import labelled_part  # noqa: PLC0415 - keras takes seconds to import

    return labelled_part(dataset, UNLABELLED)


def divided(dataset: Dataset, fold: int) -> tuple[list[ClipRecord], list[ClipRecord]]:
    """→ what fold ``fold`` (from 1) learns from, and what judges it: as the cross-validation of a training does."""
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    held_out = set(grouped_folds(records, dataset.targets(records), FOLDS, SEED)[fold - 1].tolist())
    sides: tuple[list[ClipRecord], list[ClipRecord]] = ([], [])
    for index, record in enumerate(records):
        sides[index in held_out].append(record)
    return sides


def train_fold(name: str, fold: int, dataset: Dataset, options: Options, config: TrainConfig | None = None) -> None:
    """Train the row without the fold's groups → ``weights`` and ``logits.npy`` in the fold's folder.

    ``config`` in the place of the row's.
    """
    from models.training.run.checks import config_problems  # noqa: PLC0415
    from models.training.run.distil import Lessons  # noqa: PLC0415
    from models.training.run.loop import predict  # noqa: PLC0415
    from models.training.run.train import Job, Places, Teller  # noqa: PLC0415
    from models.training.run.weights_folder import Trained, write_folder  # noqa: PLC0415

    folder, config, known = fold_folder(name, fold, options), config or ROWS[name].config, known_part(dataset)
    if problems := list(config_problems(config, options.weights)):
        raise ValueError("; ".join(problems))
    teller = Teller(
        lambda *_: None, lambda text: print(f"{time.strftime('%H:%M:%S')} {name} {fold}: {text}", flush=True)
    )
    places = Places(folder / "weights", folder / "run", options.cache, options.weights)
    lessons = Lessons(config, dataset, options.weights, options.cache, teller.step) if config.distil else None
    job = Job(config, known, places, teller, folder / "run", keep_last=True, lessons=lessons)
    train, held_out = divided(known, fold)
    network, splits = job.prepare(train, held_out)
    job.fit(network, splits)
    logits = predict(network.model, splits.val or splits.train)  # every fold holds something out
    write_folder(places.output, network.streams, config, known, Trained({}, "python benchmarks/tiers.py"))
    np.save(folder / "logits.npy", logits)


def fold_folder(name: str, fold: int, options: Options) -> Path:
    folder = options.work / name / f"fold-{fold}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def answers(name: str, folds: Sequence[int], dataset: Dataset, options: Options) -> Predictions | None:
    """→ the row's answers to the held-out clips of all ``folds``; None where one is not done."""
    files = [fold_folder(name, fold, options) / "logits.npy" for fold in folds]
    if not files or not all(file.is_file() for file in files):
        return None
    known = known_part(dataset)
    records = tuple(record for fold in folds for record in divided(known, fold)[1])
    logits = np.concatenate([np.load(file) for file in files]).astype(np.float64)
    return Predictions(known.labels, records, logits, np.asarray(known.targets(records), np.int64))


def keep_answers(name: str, dataset: Dataset, options: Options) -> Path | None:
    """Where all folds of a row are done: ``cv_predictions.csv`` in its folder, as a cross-validation leaves it."""
    from models.training.run.cross_validation import write_predictions  # noqa: PLC0415

    every = range(1, FOLDS + 1)
    if (given := answers(name, every, dataset, options)) is None:
        return None
    sizes = [len(divided(known_part(dataset), fold)[1]) for fold in every]
    folds = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    path = options.work / name / PREDICTIONS
    write_predictions(path, known_part(dataset), given.records, folds, given.logits.astype(np.float32))
    return path


# ---- what a clip costs ----


def clip_costs(folders: Mapping[str, Path], cache: Path) -> dict[str, dict[str, float]]:
    """→ median CPU seconds of a clip on one thread, by row and by key of ``ISAS``; the rows take turns."""
    found: dict[str, dict[str, float]] = {name: {} for name in folders}
    for isa, (limit, precision) in ISAS.items():
        jobs = {name: Timing(folder, "openvino", precision, cache / isa / name, 1) for name, folder in folders.items()}
        for name, cost_s in _medians(jobs, limit).items():
            found[name][isa] = cost_s
    return found


def precision_costs(folder: Path, cache: Path) -> dict[str, dict[str, float]]:
    """→ median CPU seconds of a clip on one thread, by key of ``ISAS`` and precision, which take turns."""
    found = {}
    for isa, (limit, native) in ISAS.items():
        precisions = dict.fromkeys(("f32", native, "int8"))
        jobs = {name: Timing(folder, "openvino", name, cache / isa / name, 1) for name in precisions}
        found[isa] = _medians(jobs, limit)
    return found


def _medians(jobs: Mapping[str, Timing], limit: str) -> dict[str, float]:
    """→ median CPU seconds of a clip of each job. Raises RuntimeError where one cannot be loaded."""
    with limited(limit):
        workers = {name: Worker(job) for name, job in jobs.items()}
    try:
        times = _in_turn(workers, {name: job.folder for name, job in jobs.items() if job.folder is not None})
    finally:
        for worker in workers.values():
            worker.close()
    return {name: round(float(np.median(each)), 4) for name, each in times.items()}


@contextmanager
def limited(isa: str) -> Iterator[None]:
    """Processes that are started within may use oneDNN's kernels up to ``isa`` only; empty: no limit."""
    before = os.environ.get("ONEDNN_MAX_CPU_ISA")
    if isa:
        os.environ["ONEDNN_MAX_CPU_ISA"] = isa
    try:
        yield
    finally:
        os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
        if before is not None:
            os.environ["ONEDNN_MAX_CPU_ISA"] = before


def _in_turn(workers: Mapping[str, Worker], folders: Mapping[str, Path]) -> dict[str, list[float]]:
    from models.weights.cards import read_card  # noqa: PLC0415

    if problems := [f"{name}: {worker.problem}" for name, worker in workers.items() if worker.problem]:
        raise RuntimeError("; ".join(problems))
    rng = np.random.default_rng(0)
    clips = {name: rng.integers(0, 256, read_card(folder).clip_shape, np.uint8) for name, folder in folders.items()}
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(ROUNDS):
        for name, worker in workers.items():
            times[name].append(worker.run(clips[name])[2])
    return times


# ---- the table ----


def report_of(dataset: Dataset, options: Options, before: Mapping[str, Any]) -> dict[str, Any]:
    """→ everything that the table shows: rows that have done a fold, and those that ``before`` has of as many clips."""
    labelled = len(known_part(dataset).records)
    rows = dict(before.get("rows", {})) if before.get("labelled") == labelled else {}
    places = {name: options.weights / folder for name, folder in SHIPPED.items() if name in rows}
    for name in ROWS:
        folds = folds_done(name, options)
        if (given := answers(name, folds, dataset, options)) is not None:
            base = answers(REFERENCE, folds, dataset, options) if name != REFERENCE else None
            places[name] = fold_folder(name, folds[0], options) / "weights"
            rows[name] = with_known(_row(name, measured(given, base), places[name], folds), rows.get(name))
    for name, cost in clip_costs(places, options.work / "converted").items():
        rows[name]["cpu_s"] = cost
    return {"machine": machine(), "labelled": labelled, "rows": rows}


def with_known(row: dict[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """→ the row with the difference that it had before, where it has none now and is the same to the last figure."""
    same = before is not None and all(row[key] == before.get(key) for key in ("folds", "clips", "macro_f1", "f1"))
    return row | {"difference": before["difference"]} if before and same and row["difference"] is None else row


def folds_done(name: str, options: Options) -> list[int]:
    return [fold for fold in range(1, FOLDS + 1) if (fold_folder(name, fold, options) / "logits.npy").is_file()]


def _row(name: str, result: Result, folder: Path, folds: Sequence[int]) -> dict[str, Any]:
    kept = {key: value for key, value in asdict(result).items() if key in {"macro_f1", "macro_f1_three", "f1", "clips"}}
    size = (folder / "model.keras").stat().st_size / 1e6
    config = ROWS[name].config
    further = {"difference": result.difference, "folds": list(folds), "megabytes": round(size, 1)}
    return kept | further | {"epochs": config.epochs, "draws": config.transfer.draws}


def markdown(report: Mapping[str, Any]) -> str:
    """The table, and where something was measured a line that says on what."""
    lines = [
        "| Network | starts from | macro F1, 4 classes | macro F1, 3 classes | to the full one | clips, folds | "
        "CPU s a clip: this machine / AVX2 | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ROWS:
        lines.append(f"| {' | '.join(_cells(name, report['rows'].get(name)))} |")
    return "\n".join(lines) + "\n" + _judged_by(report)


def _cells(name: str, row: Mapping[str, Any] | None) -> tuple[str, ...]:
    """→ a line of the table; a row that was not measured says so."""
    start = ROWS[name].start.format(epochs=ROWS[name].config.epochs if row is None else row["epochs"])
    if row is None:
        return ROWS[name].label, start, "not run", "", "", "", "", ""
    return (
        ROWS[name].label,
        start,
        ranged(row["macro_f1"]),
        ranged(row["macro_f1_three"]),
        "" if row["difference"] is None else ranged(row["difference"], "+"),
        f"{row['clips']}, {len(row['folds'])}",
        f"{row['cpu_s']['native']:.3f} / {row['cpu_s']['avx2']:.3f}",
        f"{row['megabytes']:.1f}",
    )


def _judged_by(report: Mapping[str, Any]) -> str:
    return f"\n{report['labelled']} clips in {FOLDS} folds, {report['machine']['cpu']}.\n" if report["rows"] else ""


def main() -> int:
    arguments = _arguments()
    if arguments.precisions is not None:
        print(json.dumps(precision_costs(arguments.precisions, arguments.work / "converted"), indent=1))
        return 0
    options = Options(arguments.data, arguments.work, arguments.cache, arguments.weights)
    dataset = read_dataset(options.data)
    names = [name for name in ROWS if arguments.only is None or name in arguments.only]
    for fold in arguments.folds:
        for name in names:
            if not (fold_folder(name, fold, options) / "logits.npy").is_file():
                train_fold(name, fold, dataset, options)
    for name in names:
        if (kept := keep_answers(name, dataset, options)) is not None:
            print(f"{name}: {kept}", flush=True)
    if arguments.no_table:
        return 0
    before = json.loads(arguments.output.read_text("utf-8")) if arguments.output.is_file() else {}
    report = report_of(dataset, options, before)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.output, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(markdown(report))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="the data set of models/configs/surveillance_light.py")
    what.add_argument(
        "--precisions", type=Path, metavar="FOLDER", help="only costs, of these weights with an int8 export"
    )
    parser.add_argument("--folds", type=int, nargs="+", default=[1], choices=range(1, FOLDS + 1), help="default: 1")
    parser.add_argument(
        "--only", nargs="*", choices=tuple(ROWS), metavar="ROW", help="rows to train; none: no training"
    )
    parser.add_argument("--no-table", action="store_true", help="train only")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache" / "features", help="features, shared")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--work", type=Path, default=HERE.parent / "runs" / "tiers", help="trainings, answers")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "tiers.json")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
