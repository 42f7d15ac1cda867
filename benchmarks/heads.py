"""Two choices of a training, each tuned fairly on small heads: the optimiser, and the loss where fights are rare.

    actoscope weights pull i3d-kinetics400
    python benchmarks/heads.py --data DATASET [--part optimisers|losses …] [--write-docs]

DATASET is that of models/configs/surveillance_light.py. Whole networks are too dear for a sweep on two cores, so heads
learn from what the teacher of that configuration sees: the pooled features of I3D, computed once a clip. A head is a
normalisation, 64 hidden nodes, dropout and the output; folds are the five grouped ones of the configurations, figures
are of the held-out answers of all five together, with percentile intervals over groups.

Optimisers: every one gets its own learning rate out of eight, in ten epochs and in thirty; weight decay, batch and the
cosine schedule with a warm-up epoch are those of models/configs/surveillance.py. Losses: of the fights in the training
part so many stay that there is one to twenty, ten or three other clips (three draws); what is held out stays whole.
Results are printed, kept in benchmarks/results/heads.json and, with --write-docs, put into docs/roads.md, with curves
in docs/pictures. What the file has of as many clips of each class is not computed again; of others, it is dropped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document  # noqa: E402 -- after the lines above
from benchmarks.ablation.table import ranged  # noqa: E402
from benchmarks.ablations import machine  # noqa: E402
from benchmarks.small_networks.curves import WEIGHTED, loss_curves, optimiser_curves  # noqa: E402
from benchmarks.small_networks.learner import Floats, Ints, Learner, batches_of  # noqa: E402
from benchmarks.small_networks.rare import judged, thinned  # noqa: E402
from benchmarks.small_networks.tables import NOT_RUN, best_rate, judged_by, loss_table, optimiser_table  # noqa: E402
from benchmarks.tiers import FOLDS, SEED, known_part  # noqa: E402
from models.configs.surveillance_light import CONFIG as TAUGHT  # noqa: E402
from models.data.manifest import Dataset, Split, read_dataset  # noqa: E402
from models.evaluation.figures.bootstrap import bootstrap, group_counts  # noqa: E402
from models.evaluation.figures.metrics import macro_f1  # noqa: E402
from models.training.config import OptimizerConfig, OptimizerKind, TrainConfig  # noqa: E402
from models.training.run.cross_validation import grouped_folds  # noqa: E402
from models.training.run.losses import balanced_class_weights  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

Found = dict[str, Any]
Save = Callable[[], object]
DOCS = HERE.parent / "docs" / "roads.md"
PICTURES = DOCS.parent / "pictures"
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
EPOCHS = (10, 30)
_ADAMW = OptimizerConfig(kind=OptimizerKind.ADAMW, weight_decay=1e-2)
_RADAM = replace(_ADAMW, kind=OptimizerKind.RADAM)
OPTIMISERS: Mapping[str, OptimizerConfig] = {
    "AdamW": _ADAMW,
    "AdamW + Lookahead (6, 0.5)": replace(_ADAMW, lookahead=6, lookahead_step=0.5),
    "RAdam": _RADAM,
    "RAdam + Lookahead (6, 0.5)": replace(_RADAM, lookahead=6, lookahead_step=0.5),
}
RATIOS, DRAWS = (20, 10, 3), 3
GAMMAS = (0.0, 1.0, 2.0, 5.0)
RARE = "Fighting"
RARE_PLAN = TrainConfig("head", optimizer=replace(_ADAMW, learning_rate=1e-3), epochs=20, batch_size=16, seed=SEED)


@dataclass(frozen=True, slots=True)
class Examples:
    """``seen`` float32 (N, F), pooled features; ``targets`` (N,); ``folds``: held-out indices of each."""

    seen: Floats
    targets: Ints
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    folds: tuple[Ints, ...]

    def inside(self, fold: int) -> Ints:
        """→ indices of what the fold learns from."""
        return np.setdiff1d(np.arange(len(self.targets)), self.folds[fold])


def read_examples(dataset: Dataset, weights: Path, cache: Path) -> Examples:
    """Computes the features that are not there yet."""
    from models.training.run.distil import teacher_features  # noqa: PLC0415 - keras takes seconds to import

    known = known_part(dataset)
    records = (*known.of(Split.TRAIN), *known.of(Split.VAL))
    targets = known.targets(records)
    seen = teacher_features(TAUGHT, records, weights, cache, _tell)
    folds = tuple(grouped_folds(records, targets, FOLDS, SEED))
    groups = tuple(record.group for record in records)
    return Examples(seen.astype(np.float32), np.asarray(targets), groups, known.labels, folds)


def head(width: int, classes: int, plan: TrainConfig, loss: Any, batches: int) -> Learner:
    """→ a head on ``width`` features that starts the same every time."""
    import keras  # noqa: PLC0415 - takes seconds to import

    keras.utils.set_random_seed(plan.seed)
    layers = [
        keras.layers.Input((width,)),
        keras.layers.LayerNormalization(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(classes),
    ]
    return Learner(keras.Sequential(layers), plan, loss, batches)


def scaled(seen: Floats, inside: Ints) -> Floats:
    """Every feature by the mean and deviation of what is learnt from."""
    part = seen[inside]
    return np.asarray((seen - part.mean(axis=0)) / (part.std(axis=0) + 1e-6), np.float32)


# ---- optimisers ----


def optimisers(examples: Examples, found: Found, save: Save) -> None:
    """Adds what is missing in ``found``: macro F1 with its interval, by epochs, optimiser and learning rate, and that
    after every epoch at the best rate.
    """
    for epochs, (name, kind) in itertools.product(EPOCHS, OPTIMISERS.items()):
        done = found.setdefault(str(epochs), {}).setdefault(name, {})
        for rate in (rate for rate in RATES if f"{rate:g}" not in done):
            optimizer = replace(kind, learning_rate=rate)
            plan = TrainConfig("head", optimizer=optimizer, epochs=epochs, batch_size=16, seed=SEED)
            done[f"{rate:g}"] = rated(examples, plan)
            save()
            print(f"{epochs} epochs, {name}, {rate:g}: {ranged(done[f'{rate:g}']['macro_f1'])}", flush=True)
        for rate in done.keys() - {best_rate(done)}:
            done[rate].pop("by_epoch", None)
        save()


def rated(examples: Examples, plan: TrainConfig) -> dict[str, list[float]]:
    """→ of all held-out answers ``macro_f1`` (with low and high end) at last, and ``by_epoch``."""
    from models.training.run.losses import FocalLoss  # noqa: PLC0415 - keras takes seconds to import

    classes, targets = len(examples.labels), examples.targets
    answers = np.zeros((plan.epochs, len(targets)), np.int64)
    loss = FocalLoss(class_weights=balanced_class_weights(targets.tolist(), classes, 0.5))
    batches = batches_of(max(len(examples.inside(fold)) for fold in range(FOLDS)), plan)
    learner = head(examples.seen.shape[1], classes, plan, loss, batches)
    for fold, held_out in enumerate(examples.folds):
        inside = examples.inside(fold)
        seen = scaled(examples.seen, inside)

        def look(epoch: int, held_out: Ints = held_out, asked: Floats = seen[held_out]) -> None:
            answers[epoch, held_out] = learner.logits(asked).argmax(axis=1)

        learner.learn(seen[inside], targets[inside], look)
    counts = [group_counts(each, targets, classes, examples.groups) for each in answers]
    span = bootstrap(counts[-1], macro_f1)
    return {
        "macro_f1": [round(value, 4) for value in (span.value, span.low, span.high)],
        "by_epoch": [round(float(macro_f1(each.sum(axis=0)[None])[0]), 4) for each in counts],
    }


# ---- losses ----


def losses(examples: Examples, found: Found, save: Save) -> None:
    """Adds what is missing: figures of fights, by ratio and loss. All γ of one kind are measured together: they are
    compared with the first.
    """
    for ratio, weighted in itertools.product(RATIOS, (False, True)):
        done = found.setdefault(str(ratio), {})
        names = {gamma: f"γ = {gamma:g}{WEIGHTED if weighted else ''}" for gamma in GAMMAS}
        if all(name in done for name in names.values()):
            continue
        margins = {gamma: rare_fights(examples, gamma, weighted, ratio) for gamma in GAMMAS}
        for gamma, name in names.items():
            base = margins[GAMMAS[0]] if gamma != GAMMAS[0] else None
            done[name] = judged(margins[gamma], fights_of(examples), examples.groups, base)
            print(f"1 to {ratio}, {name}: {ranged(done[name]['average_precision'])}", flush=True)
        save()


def fights_of(examples: Examples) -> Ints:
    return np.asarray(examples.targets == examples.labels.index(RARE), np.int64)


def rare_fights(examples: Examples, gamma: float, weighted: bool, ratio: int) -> Floats:
    """→ (draws, N): logit of a fight less that of all else, learnt from one fight to ``ratio`` others. ``weighted``:
    both weigh the same.
    """
    from models.training.run.losses import FocalLoss  # noqa: PLC0415 - keras takes seconds to import

    fights = fights_of(examples)
    seeds = [[SEED, draw] for draw in range(DRAWS)]
    parts = [[thinned(examples.inside(fold), fights, ratio, seed) for fold in range(FOLDS)] for seed in seeds]
    weights = balanced_class_weights(fights[parts[0][0]].tolist(), 2) if weighted else None
    batches = batches_of(max(len(part) for draw in parts for part in draw), RARE_PLAN)
    learner = head(examples.seen.shape[1], 2, RARE_PLAN, FocalLoss(gamma, 0.0, weights), batches)
    margins = np.zeros((DRAWS, len(fights)), np.float32)
    for draw, (fold, held_out) in itertools.product(range(DRAWS), enumerate(examples.folds)):
        part = parts[draw][fold]
        seen = scaled(examples.seen, part)
        learner.learn(seen[part], fights[part])
        margins[draw, held_out] = np.diff(learner.logits(seen[held_out]), axis=1)[:, 0]
    return margins


# ---- what is kept and shown ----


@dataclass(frozen=True, slots=True)
class Part:
    """What is measured, and how it is shown."""

    measure: Callable[[Examples, Found, Save], None]
    table: Callable[[Mapping[str, Any]], str]
    curves: Callable[[Mapping[str, Any]], bytes]


PARTS: Mapping[str, Part] = {
    "optimisers": Part(optimisers, optimiser_table, optimiser_curves),
    "losses": Part(losses, loss_table, loss_curves),
}


def marks(part: str) -> document.Marks:
    return document.marks(f"benchmarks/heads.py, {part}")


def markdown(part: str, report: Mapping[str, Any]) -> str:
    """→ the table of a part, and a line that says on what it was measured."""
    found = report.get(part)
    return PARTS[part].table(found) + judged_by(report) if found else NOT_RUN


def so_far(file: Path, examples: Examples) -> Found:
    """→ what the file has of as many clips of each class."""
    known = Counter(examples.labels[target] for target in examples.targets)
    own = {"clips": {label: known[label] for label in examples.labels}, "groups": len(set(examples.groups))}
    before = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return {**(before if before.get("clips") == own["clips"] else {}), **own, "machine": machine()}


def write_docs(part: str, report: Mapping[str, Any]) -> None:
    """The table into the document, and the curves beside it."""
    document.put_table(DOCS, markdown(part, report), marks(part))
    if report.get(part):
        write_atomically(PICTURES / f"{part}.svg", PARTS[part].curves(report[part]))


def _tell(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def main() -> int:
    arguments = _arguments()
    file: Path = arguments.results
    if arguments.part:
        examples = read_examples(read_dataset(arguments.data), arguments.weights, arguments.cache)
        report = so_far(file, examples)
        for part in arguments.part:
            found = report.setdefault(part, {})
            PARTS[part].measure(
                examples,
                found,
                lambda: write_atomically(file, json.dumps(report, indent=1, ensure_ascii=False) + "\n"),
            )
    report = json.loads(file.read_text("utf-8"))
    for part in PARTS:
        print(markdown(part, report))
        if arguments.write_docs:
            write_docs(part, report)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the data set of models/configs/surveillance_light.py")
    parser.add_argument("--part", nargs="*", choices=tuple(PARTS), default=tuple(PARTS), help="none: the tables only")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache" / "features", help="features, shared")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "heads.json")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
