"""Two choices of a training, each tuned fairly on small heads: the optimiser, and the loss where fights are rare.

    actoscope weights pull i3d-kinetics400
    python benchmarks/heads.py --data DATASET [--part optimisers|losses …] [--write-docs]

DATASET is that of models/configs/surveillance_light.py. Whole networks are too dear for a sweep on two cores, so heads
learn from what the teacher of that configuration sees: the pooled features of I3D, computed once a clip. A head is a
normalisation, 64 hidden nodes, dropout and the output; folds are the five grouped ones of the configurations, figures
are of the held-out answers of all five together, with percentile intervals over groups.

Optimisers: every one gets its own learning rate out of six, in ten epochs and in thirty; weight decay, batch and the
cosine schedule with a warm-up epoch are those of models/configs/surveillance.py. Losses: of the fights in the training
part so many stay that there is one to twenty, ten or three other clips (three draws); what is held out stays whole.
Results are printed, kept in benchmarks/results/heads.json and, with --write-docs, put into docs/roads.md; what is in
there already is not computed again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document  # noqa: E402 -- after the lines above
from benchmarks.ablation.table import ranged  # noqa: E402
from benchmarks.ablations import machine  # noqa: E402
from benchmarks.tiers import FOLDS, SEED, known_part  # noqa: E402
from models.configs.surveillance_light import CONFIG as TAUGHT  # noqa: E402
from models.data.manifest import Dataset, Split, read_dataset  # noqa: E402
from models.evaluation.figures.bootstrap import bootstrap, group_counts  # noqa: E402
from models.evaluation.figures.metrics import macro_f1  # noqa: E402
from models.training.config import OptimizerConfig, OptimizerKind, TrainConfig  # noqa: E402
from models.training.run.cross_validation import grouped_folds  # noqa: E402
from models.training.run.losses import balanced_class_weights  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Found = dict[str, Any]
Save = Callable[[], object]
DOCS = HERE.parent / "docs" / "roads.md"
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
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
NOT_RUN = "Not run.\n"


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


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a head learns. ``weighted``: every class weighs the same."""

    training: TrainConfig
    gamma: float = 0.0
    weighted: bool = False


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


class Head:
    """A small network, compiled once for a recipe, that learns anew from every part of the examples."""

    def __init__(self, width: int, classes: int, recipe: Recipe, batches: int, class_weights: Any) -> None:
        import keras  # noqa: PLC0415 - takes seconds to import

        from models.training.run.losses import FocalLoss  # noqa: PLC0415
        from models.training.run.optimizer import build_optimizer  # noqa: PLC0415

        keras.utils.set_random_seed(SEED)
        layers = [
            keras.layers.Input((width,)),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(classes),
        ]
        self.model, self.recipe, self.batches = keras.Sequential(layers), recipe, batches
        loss = FocalLoss(recipe.gamma, 0.0, class_weights)
        optimizer = build_optimizer(recipe.training, batches)
        self.model.compile(optimizer, loss, jit_compile=True, steps_per_execution=batches)
        optimizer.build(self.model.trainable_variables)
        self._state = [*self.model.variables, *optimizer.variables]
        self._start = [keras.ops.convert_to_numpy(variable) for variable in self._state]

    def answers(self, seen: Floats, targets: Ints, asked: Floats) -> Floats:
        """Learn ``seen`` from the start → logits (M, C) of ``asked``."""
        for variable, value in zip(self._state, self._start, strict=True):
            variable.assign(value)
        plan = self.recipe.training
        rows = np.resize(
            np.arange(len(seen)), self.batches * plan.batch_size
        )  # whole batches: one shape, compiled once
        wanted = np.eye(self.model.output_shape[-1], dtype=np.float32)[targets[rows]]
        self.model.fit(seen[rows], wanted, plan.batch_size, plan.epochs, verbose=0)
        return np.asarray(self.model(asked, training=False), np.float32)  # eagerly: nothing is compiled for its shape


def scaled(seen: Floats, inside: Ints) -> Floats:
    """Every feature by the mean and deviation of what is learnt from."""
    part = seen[inside]
    return np.asarray((seen - part.mean(axis=0)) / (part.std(axis=0) + 1e-6), np.float32)


# ---- optimisers ----


def optimisers(examples: Examples, found: Found, save: Save) -> None:
    """Adds what is missing in ``found``: macro F1 with its interval, by epochs, optimiser and learning rate."""
    for epochs in EPOCHS:
        for name, kind in OPTIMISERS.items():
            done = found.setdefault(str(epochs), {}).setdefault(name, {})
            for rate in (rate for rate in RATES if f"{rate:g}" not in done):
                optimizer = replace(kind, learning_rate=rate)
                plan = TrainConfig("head", optimizer=optimizer, epochs=epochs, batch_size=16, seed=SEED)
                done[f"{rate:g}"] = rated(examples, Recipe(plan, weighted=True))
                save()
                print(f"{epochs} epochs, {name}, {rate:g}: {ranged(done[f'{rate:g}'])}", flush=True)


def rated(examples: Examples, recipe: Recipe) -> list[float]:
    """→ macro F1, low, high of all held-out answers."""
    classes = len(examples.labels)
    answers = np.zeros(len(examples.targets), np.int64)
    weights = balanced_class_weights(examples.targets.tolist(), classes, 0.5)
    batches = -(-max(len(examples.inside(fold)) for fold in range(FOLDS)) // recipe.training.batch_size)
    head = Head(examples.seen.shape[1], classes, recipe, batches, weights)
    for fold, held_out in enumerate(examples.folds):
        inside = examples.inside(fold)
        seen = scaled(examples.seen, inside)
        answers[held_out] = head.answers(seen[inside], examples.targets[inside], seen[held_out]).argmax(axis=1)
    span = bootstrap(group_counts(answers, examples.targets, classes, examples.groups), macro_f1)
    return [round(value, 4) for value in (span.value, span.low, span.high)]


# ---- losses ----


def losses(examples: Examples, found: Found, save: Save) -> None:
    """Adds what is missing: of fights, by ratio and loss, average precision, F1 at one half and recall there."""
    plan = TrainConfig("head", optimizer=replace(_ADAMW, learning_rate=1e-3), epochs=20, batch_size=16, seed=SEED)
    for ratio, gamma, weighted in itertools.product(RATIOS, GAMMAS, (False, True)):
        name = f"γ = {gamma:g}" + (", classes weighted" if weighted else "")
        done = found.setdefault(str(ratio), {})
        if name not in done:
            done[name] = rare_fights(examples, Recipe(plan, gamma, weighted), ratio)
            save()
            print(f"1 to {ratio}, {name}: {done[name]}", flush=True)


def rare_fights(examples: Examples, recipe: Recipe, ratio: int) -> dict[str, float]:
    """→ figures of fights against all else, with one fight in training to ``ratio`` others."""
    fights = (examples.targets == examples.labels.index(RARE)).astype(np.int64)
    parts = [[thinned(examples.inside(fold), fights, ratio, draw) for fold in range(FOLDS)] for draw in range(DRAWS)]
    weights = balanced_class_weights(fights[parts[0][0]].tolist(), 2) if recipe.weighted else None
    batches = -(-max(len(part) for draw in parts for part in draw) // recipe.training.batch_size)
    head = Head(examples.seen.shape[1], 2, recipe, batches, weights)
    rows = []
    for draw in range(DRAWS):
        margin = np.zeros(len(fights), np.float32)
        for fold, held_out in enumerate(examples.folds):
            seen = scaled(examples.seen, parts[draw][fold])
            logits = head.answers(seen[parts[draw][fold]], fights[parts[draw][fold]], seen[held_out])
            margin[held_out] = logits[:, 1] - logits[:, 0]
        rows.append(judged(margin, fights))
    return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}


def thinned(inside: Ints, fights: Ints, ratio: int, draw: int) -> Ints:
    """→ of the indices ``inside`` all others, and one fight to ``ratio`` of them, at random."""
    others, rare = inside[fights[inside] == 0], inside[fights[inside] == 1]
    kept = np.random.default_rng([SEED, draw]).permutation(rare)[: max(1, round(len(others) / ratio))]
    return np.sort(np.concatenate([others, kept]))


def judged(margin: Floats, fights: Ints) -> dict[str, float]:
    """``margin`` (N,): logit of a fight less that of the rest."""
    called = margin > 0
    hits = int(np.sum(called & (fights == 1)))
    return {
        "average_precision": float(average_precision_score(fights, margin)),
        "f1": 2 * hits / max(1, int(called.sum()) + int(fights.sum())),
        "recall": hits / int(fights.sum()),
    }


# ---- tables ----


def optimiser_table(found: Mapping[str, Any]) -> str:
    """One row an optimiser and number of epochs, one column a learning rate; the best of each row in bold."""
    if not found:
        return NOT_RUN
    lines = [
        f"| Optimiser | epochs | {' | '.join(f'{rate:g}' for rate in RATES)} | best |",
        "|---" * (3 + len(RATES)) + "|",
    ]
    for epochs, rows in found.items():
        for name, by_rate in ((name, by_rate) for name, by_rate in rows.items() if by_rate):
            best = max(by_rate, key=lambda rate: by_rate[rate][0])
            cells = [_cell(by_rate.get(f"{rate:g}"), f"{rate:g}" == best) for rate in RATES]
            lines.append(f"| {name} | {epochs} | {' | '.join(cells)} | {ranged(by_rate[best])} |")
    return "\n".join(lines) + "\n"


def _cell(span: Sequence[float] | None, best: bool) -> str:
    if span is None:
        return "not run"
    return f"**{span[0]:.3f}**" if best else f"{span[0]:.3f}"


def loss_table(found: Mapping[str, Any]) -> str:
    """One row a loss; of every ratio: average precision / F1 / recall."""
    if not found:
        return NOT_RUN
    heads = " | ".join(f"1 to {ratio}: AP / F1 / recall" for ratio in found)
    lines = [f"| Loss | {heads} |", "|---" * (1 + len(found)) + "|"]
    for name in next(iter(found.values())):
        measured = [rows.get(name) for rows in found.values()]
        cells = [" / ".join(f"{value:.3f}" for value in row.values()) if row else "not run" for row in measured]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


PARTS: Mapping[str, tuple[Callable[..., None], Callable[[Mapping[str, Any]], str]]] = {
    "optimisers": (optimisers, optimiser_table),
    "losses": (losses, loss_table),
}


def marks(part: str) -> document.Marks:
    return document.marks(f"benchmarks/heads.py, {part}")


def _tell(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def main() -> int:
    arguments = _arguments()
    file: Path = arguments.results
    report = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    examples = (
        read_examples(read_dataset(arguments.data), arguments.weights, arguments.cache) if arguments.part else None
    )
    report |= {"machine": machine()} if arguments.part else {}
    for part in arguments.part:
        found = report.setdefault(part, {})
        PARTS[part][0](examples, found, lambda: write_atomically(file, json.dumps(report, indent=1) + "\n"))
    for part, (_, table) in PARTS.items():
        print(table(report.get(part, {})))
        if arguments.write_docs:
            text = document.with_table(DOCS.read_text("utf-8"), table(report.get(part, {})), marks(part))
            write_atomically(DOCS, text)
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
