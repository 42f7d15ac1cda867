"""The roads of models/configs/roads on UCF101: every one trained and judged as by its own commands, one table.

    actoscope weights pull i3d-kinetics400
    actoscope dataset prepare ucf101 UCF-101 --lists ucfTrainTestlist --piece-seconds 60 --output data/ucf101
    python benchmarks/roads.py --data data/ucf101 [--only ROW …] [--write-docs]

Each row is what ``actoscope train CONFIG`` and ``actoscope evaluate --split test`` do, in a process of its own. CPU
seconds are that process's, on which other work on the machine weighs least, apart for features (of the training clips;
those that several rows share count for each of them) and for learning; read their ratios. Rows that are done are not
done again. Intervals are those of ``evaluate``, whole groups drawn; where every clip is right nothing varies, and the
low end is the exact binomial's of all groups. The table is printed, kept in benchmarks/results/roads.json and, with
--write-docs, put into docs/roads.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document  # noqa: E402 -- after the lines above
from benchmarks.ablations import machine  # noqa: E402
from models.data.manifest import Dataset, Split, read_dataset  # noqa: E402
from models.evaluation.clips_and_videos import ClipsJob, answers  # noqa: E402
from models.evaluation.figures.predictions import Predictions  # noqa: E402
from models.evaluation.judge import Judgement, judge  # noqa: E402
from models.training.config import load_config  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

CONFIGS = HERE.parent / "models" / "configs" / "roads"
DOCS = HERE.parent / "docs" / "roads.md"
MARKS = document.marks("benchmarks/roads.py")
REFERENCE = "i3d"
MISTAKE = 0.05  # of an interval


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what the network is, what it sees of a video, what of it learns.

    ``uses``: another row, which has computed features that this one needs, too. ``adds``: rows whose logits are added;
    nothing is trained.
    """

    label: str
    sees: str
    learns: str
    uses: str = ""
    adds: tuple[str, ...] = ()


_PICTURES = "20 pictures of 224², 4 s"
_CLIP = "64 pictures of 224², 2.56 s"
ROWS: Mapping[str, Row] = {
    "gru": Row("MobileNetV2 + GRU", _PICTURES, "all behind the features, 30 epochs, 4 draws"),
    "lstm": Row("MobileNetV2 + LSTM", _PICTURES, "the same", "gru"),
    "attention": Row("MobileNetV2 + self-attention", _PICTURES, "the same", "gru"),
    "transformer": Row("MobileNetV2 + transformer encoder", _PICTURES, "the same", "gru"),
    "average": Row("MobileNetV2, pictures averaged", _PICTURES, "the same", "gru"),
    "i3d": Row("I3D, RGB", _CLIP, "output, 40 epochs"),
    "i3d_flow": Row("I3D, flow", f"flow of {_CLIP}", "from Mixed_5b, 20 epochs"),
    "i3d_added": Row(
        "I3D, RGB and flow", f"{_CLIP}, and their flow", "as they did, logits added", adds=("i3d", "i3d_flow")
    ),
    "i3d_fused": Row("I3D, RGB and flow", f"{_CLIP}, and their flow", "both from Mixed_5b, 20 epochs", "i3d_flow"),
    "light": Row("light I3D", "16 pictures of 96², 2.56 s", "output, 20 epochs, 4 draws"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Where things lie. ``work``: trainings, features, evaluations. ``weights``: of the weights folders."""

    data: Path
    work: Path
    weights: Path


@dataclass
class Clock:
    """A training's progress, as the CPU seconds of each of its stages: ``checking``, ``features``, ``epoch``."""

    spent_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _since: float = field(default_factory=time.process_time)

    def step(self, what: str, done: int, total: int) -> None:
        """All that has passed since the last word was spent on ``what``."""
        now = time.process_time()
        self.spent_s[what.split(maxsplit=1)[0]] += now - self._since
        self._since = now


def measured(name: str, options: Options) -> dict[str, Any]:
    """Train and judge one row → its figures."""
    dataset, folder = read_dataset(options.data), options.work / name
    spent_s = train_row(name, dataset, folder, options)
    judgement = judge(Split.TEST, answers_of(name, dataset, options), None)
    return {**figures(judgement), **spent_s, "parameters": parameters(folder / "weights" / "model.keras")}


def added(name: str, rows: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """→ figures of a row that adds what others, which are done, have answered; it costs what they did."""
    dataset, parts = read_dataset(options.data), ROWS[name].adds
    first, *others = (answers_of(part, dataset, options) for part in parts)
    for other in others:
        first = first.plus(other)
    sums = {key: sum(rows[part][key] for part in parts) for key in ("features_s", "learning_s", "parameters")}
    return {**figures(judge(Split.TEST, first, None)), **sums}


def answers_of(name: str, dataset: Dataset, options: Options) -> Predictions:
    """→ what the row's network answers to the test clips; once it has, they are read from disk."""
    from models.classifier import ActionClassifier  # noqa: PLC0415 - keras takes seconds to import

    folder = options.work / name
    classifier = ActionClassifier.load(folder / "weights", "openvino", folder / "converted", precision="f32")
    return answers(classifier, ClipsJob(dataset, folder / "evaluation", Split.TEST), Split.TEST)


def train_row(name: str, dataset: Dataset, folder: Path, options: Options) -> dict[str, float]:
    """→ CPU seconds: ``features_s`` and ``learning_s``."""
    from models.training.run.train import Places, Teller, train  # noqa: PLC0415

    config, clock = load_config(CONFIGS / f"ucf101_{name}.py"), Clock()
    places = Places(folder / "weights", folder / "run", options.work / "features", options.weights)
    train(config, dataset, places, Teller(clock.step, lambda text: print(name, text, flush=True)), resume=True)
    return {f"{to}_s": round(clock.spent_s[of], 1) for to, of in (("features", "features"), ("learning", "epoch"))}


def figures(found: Judgement) -> dict[str, Any]:
    """→ top-1 with its interval, and of how many clips of how many groups."""
    span = found.whole.intervals["top1"]
    low = span.low if span.value < 1 else lowest_share(span.groups)
    top1 = [round(value, 4) for value in (span.value, low, span.high)]
    return {"top1": top1, "clips": found.count, "groups": span.groups}


def lowest_share(count: int) -> float:
    """→ the smallest share under which ``count`` of ``count`` right are no rarer than an interval allows."""
    return float((MISTAKE / 2) ** (1 / count))


def parameters(file: Path) -> int:
    import keras  # noqa: PLC0415 - takes seconds to import

    import models.layers  # noqa: F401, PLC0415 - saved networks load

    return int(keras.saving.load_model(file, compile=False, safe_mode=True).count_params())


# ---- the table ----


def markdown(report: Mapping[str, Any]) -> str:
    """The table, and where something was measured a line that says on what."""
    rows = with_shared_features(report["rows"])
    lines = [
        "| Network | sees | learns | top-1 [95 %] | CPU s: features + learning | to I3D | M parameters |",
        "|---|---|---|---|---|---|---|",
    ]
    reference = sum(_seconds(rows[REFERENCE])) if REFERENCE in rows else None
    for name, row in ROWS.items():
        lines.append(f"| {row.label} | {row.sees} | {row.learns} | {' | '.join(_cells(rows.get(name), reference))} |")
    return "\n".join(lines) + "\n" + _judged_by(report)


def with_shared_features(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Only the first of several rows computes what they share; it counts for each of them."""
    further = {name: rows.get(ROWS[name].uses, {}).get("features_s", 0.0) for name in rows}
    return {name: {**row, "features_s": row["features_s"] + further[name]} for name, row in rows.items()}


def _seconds(row: Mapping[str, Any]) -> tuple[float, float]:
    return row["features_s"], row["learning_s"]


def _cells(found: Mapping[str, Any] | None, reference: float | None) -> tuple[str, ...]:
    if found is None:
        return "not run", "", "", ""
    value, low, high = found["top1"]
    features_s, learning_s = _seconds(found)
    return (
        f"{value:.3f} [{low:.3f}, {high:.3f}]",
        f"{features_s:.0f} + {learning_s:.0f}",
        f"×{(features_s + learning_s) / reference:.2f}" if reference else "",
        f"{found['parameters'] / 1e6:.2f}",
    )


def _judged_by(report: Mapping[str, Any]) -> str:
    row: Mapping[str, Any] = next(iter(report["rows"].values()), {})
    return f"\n{row['clips']} clips of {row['groups']} groups, {report['machine']['cpu']}.\n" if row else ""


def main() -> int:
    arguments = _arguments()
    options = Options(arguments.data, arguments.work, arguments.weights)
    file: Path = arguments.results
    report = json.loads(file.read_text("utf-8")) if file.is_file() else {"rows": {}}
    for name in ROWS if arguments.only is None else arguments.only:
        if name not in report["rows"]:
            work = (added, name, report["rows"], options) if ROWS[name].adds else (measured, name, options)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                report["rows"][name] = pool.submit(*work).result()
            report["machine"] = machine()
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(report, indent=2) + "\n")
            print(name, report["rows"][name], flush=True)
    print(markdown(report))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set of `actoscope dataset prepare ucf101`")
    parser.add_argument("--only", nargs="*", choices=tuple(ROWS), metavar="ROW", help="none: the table only")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--work", type=Path, default=HERE.parent / "runs" / "roads", help="trainings, features")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "roads.json")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
