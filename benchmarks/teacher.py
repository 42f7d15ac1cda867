"""What the teacher of the light network gives: on labelled people, on people without a label, on those it is sure of.

    python benchmarks/teacher.py --data DATASET [--folds 1 2 3 4 5] [--only ROW …] [--write-docs]

DATASET is that of models/configs/surveillance_light.py. Every row is that configuration trained anew in its grouped
folds, without a clip or an unlabelled track of the source videos that judge it; it keeps its last epoch and answers its
held-out clips. Rows differ in what is learnt beside the labels: nothing, the teacher's opinion of the labelled people,
its opinion of the unclear ones as well (what ships), or of those alone of whom teachers of other folds are sure in
every view (self-training, ``models.training.run.self_training``). Figures are of the answers of all folds that were
run, with percentile intervals over source videos; the difference to the first row is paired.

Features are computed once and kept in --cache; trainings go on where they were interrupted, a fold that is done is not
done again. The table is printed, kept in benchmarks/results/teacher.json and, with --write-docs, put into
docs/ablations.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document, tiers  # noqa: E402 -- after the lines above
from benchmarks.ablation.table import ranged  # noqa: E402
from benchmarks.ablations import machine  # noqa: E402
from benchmarks.depths import figures_of  # noqa: E402
from models.configs.surveillance_light import CONFIG as LIGHT  # noqa: E402
from models.data.manifest import Dataset, read_dataset  # noqa: E402
from models.evaluation.figures.predictions import Predictions  # noqa: E402
from models.training.config import TrainConfig, TrustConfig  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

DOCS = HERE.parent / "docs" / "ablations.md"
MARKS = document.marks("benchmarks/teacher.py")
BASE = "labels"
SURE = (0.9, 0.7)  # probabilities
VIEWS = 2  # of a person, beside the plain clip: a draw costs as much as the clip


@dataclass(frozen=True, slots=True)
class Row:
    """What is learnt, in words and as a training."""

    label: str
    config: TrainConfig


def taught(**changes: Any) -> TrainConfig:
    """→ the light network's training with another teacher."""
    if LIGHT.distil is None:
        raise ValueError(f"{LIGHT.name} has no teacher")
    return replace(LIGHT, distil=replace(LIGHT.distil, **changes))


def rows() -> dict[str, Row]:
    found = {
        BASE: Row("labels alone", replace(LIGHT, distil=None)),
        "labelled": Row("and the teacher, of the labelled people", taught(unlabelled=())),
        "all": Row("and of all unclear people (ships)", LIGHT),
    }
    for chance in SURE:
        label = f"and of unclear people of whom teachers are sure in every view ({chance:g})"
        found[f"sure-{chance:g}"] = Row(label, taught(trust=TrustConfig(chance=chance, draws=VIEWS)))
    return found


ROWS: Mapping[str, Row] = rows()


def report_of(answers: Mapping[str, Predictions]) -> dict[str, Any]:
    """→ the figures of each row."""
    base = answers.get(BASE)
    found = {name: figures_of(given, base if name != BASE else None) for name, given in answers.items()}
    return {"clips": max((len(each) for each in answers.values()), default=0), "rows": found}


def learn(name: str, fold: int, dataset: Dataset, options: tiers.Options) -> None:
    """One fold of a row, and how many unclear people it learnt."""
    from models.training.run.distil import Lessons  # noqa: PLC0415 - keras takes seconds to import

    config, known = ROWS[name].config, tiers.known_part(dataset)
    count = 0
    if config.distil is not None:
        lessons = Lessons(config, dataset, options.weights, options.cache, lambda *_: None)
        count = len(lessons.lesson(*tiers.divided(known, fold), known).unlabelled)
    tiers.train_fold(name, fold, dataset, options, config)
    file = tiers.fold_folder(name, fold, options) / "unclear.json"  # last: with it the fold is done
    write_atomically(file, json.dumps({"unclear": count}) + "\n")


def unclear(name: str, folds: Sequence[int], options: tiers.Options) -> list[int]:
    """→ how many unclear people each fold of the row learnt; shorter where a fold is not done."""
    files = [tiers.fold_folder(name, fold, options) / "unclear.json" for fold in folds]
    return [json.loads(file.read_text("utf-8"))["unclear"] for file in files if file.is_file()]


def markdown(report: Mapping[str, Any]) -> str:
    """The table. Rows that were not measured say so."""
    lines = [
        "| The light network learns | unclear people | macro F1, 4 classes | macro F1, 3 classes | to the first row | "
        f"F1: {', '.join(report['labels'])} | ECE |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {row.label} | {_cells(report['rows'].get(name))} |" for name, row in ROWS.items()]
    folds = ", ".join(map(str, report["folds"]))
    return "\n".join(lines) + f"\n\nFolds {folds}, {report['clips']} held-out clips, {report['machine']['cpu']}.\n"


def _cells(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not run | | | | |"
    least, most = min(row["unclear"]), max(row["unclear"])
    seen = str(least) if least == most else f"{least} to {most}"
    classes = " ".join(f"{value:.2f}" for value in row["f1"].values())
    difference = ranged(row["difference"], "+") if row["difference"] else ""
    figures = (ranged(row["macro_f1"]), ranged(row["macro_f1_three"]), difference, classes, f"{row['ece']:.3f}")
    return " | ".join((seen, *figures))


def main() -> int:
    arguments = _arguments()
    options = tiers.Options(arguments.data, arguments.work, arguments.cache, arguments.weights)
    dataset = read_dataset(options.data)
    for name in arguments.only:
        for fold in arguments.folds:
            if not unclear(name, [fold], options):
                learn(name, fold, dataset, options)
    done = [name for name in ROWS if len(unclear(name, arguments.folds, options)) == len(arguments.folds)]
    found = {name: tiers.answers(name, arguments.folds, dataset, options) for name in done}
    report = report_of({name: given for name, given in found.items() if given is not None})
    for name, row in report["rows"].items():
        row["unclear"] = unclear(name, arguments.folds, options)
    report |= {"machine": machine(), "folds": arguments.folds, "labels": list(tiers.known_part(dataset).labels)}
    write_atomically(arguments.output, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(markdown(report))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the data set of models/configs/surveillance_light.py")
    folds = range(1, tiers.FOLDS + 1)
    parser.add_argument("--folds", type=int, nargs="+", default=list(folds), choices=folds, help="default: all")
    parser.add_argument("--only", nargs="*", choices=tuple(ROWS), default=list(ROWS), metavar="ROW", help="to train")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache" / "features", help="features, shared")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--work", type=Path, default=HERE.parent / "runs" / "teacher", help="trainings, answers")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "teacher.json")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
