"""Several models side by side on the same clips, with paired differences: the same groups are drawn for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.errors import EvaluationError
from models.evaluation.figures.bootstrap import LEVEL, Interval, group_counts, interval, resample
from models.evaluation.figures.calibration import expected_calibration_error, probabilities
from models.evaluation.figures.metrics import Floats, Value, macro_f1
from models.evaluation.figures.predictions import Predictions
from models.evaluation.judge import DEFAULT_JUDGING, JudgeConfig, Part, judge_part
from models.evaluation.report import render
from models.evaluation.report_plots import figure_of, svg_of
from pipeline.files import write_atomically

COMPARISON_FILE, COMPARISON_REPORT = "comparison.json", "comparison.html"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model's name, its answers, and the temperature in its card."""

    name: str
    predictions: Predictions
    temperature: float = 1.0


class ComparisonRow(Value):
    """``difference``: in macro F1 against the first model; None for that one itself."""

    model: str
    macro_f1: Interval
    top1: Interval
    ece: float  # with the temperature of the model's card
    f1: tuple[float | None, ...]  # of each class; None where there is no clip of it
    difference: Interval | None = None
    best: bool = False


class ComparisonTable(Value):
    labels: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]

    @property
    def without_clips(self) -> tuple[str, ...]:
        """Classes that the macro F1 says nothing of."""
        return tuple(label for label, value in zip(self.labels, self.rows[0].f1, strict=True) if value is None)


class Comparison(Value):
    """``tables``: all classes first, then one for each subset of them."""

    format_version: Literal[1] = 1
    split: str
    count: int
    groups: int
    data: str = ""
    tables: tuple[ComparisonTable, ...]


def compare(
    candidates: Sequence[Candidate], split: str, config: JudgeConfig = DEFAULT_JUDGING, data: str = ""
) -> Comparison:
    """Raises EvaluationError for fewer than two models, names that repeat, other clips, or other classes."""
    _check(candidates)
    first = candidates[0].predictions
    choices = (first.labels, *config.subsets)
    return Comparison(
        split=split,
        count=len(first),
        groups=len(set(first.groups)),
        data=data,
        tables=tuple(_table([_narrowed(item, labels) for item in candidates], config) for labels in choices),
    )


def paired_difference(
    first: Predictions, second: Predictions, level: float = LEVEL, config: JudgeConfig = DEFAULT_JUDGING
) -> Interval:
    """→ by how much the macro F1 of ``second`` is above that of ``first``, with its interval; of the same clips.

    Raises EvaluationError for other clips, or other classes.
    """
    _check([Candidate("first", first), Candidate("second", second)])
    pair = (first, second)
    values = [float(macro_f1(_sums(each).sum(axis=0)[None])[0]) for each in pair]
    draws = [_replicates(each, config) for each in pair]
    return interval(values[1] - values[0], draws[1] - draws[0], len(set(first.groups)), level)


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write ``comparison.json`` and ``comparison.html`` → the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / COMPARISON_FILE, comparison.model_dump_json(indent=2) + "\n")
    rows = comparison.tables[0].rows
    context: dict[str, Any] = {
        "comparison": comparison,
        "plot": interval_plot(rows),
        "title": "Models compared",
        "subtitle": " · ".join([row.model for row in rows] + ([comparison.data] if comparison.data else [])),
        "note": "Differences are paired: the same groups are drawn for both models.",
    }
    write_atomically(folder / COMPARISON_REPORT, render("comparison_report.html.j2", context))
    return folder / COMPARISON_REPORT


def interval_plot(rows: Sequence[ComparisonRow]) -> str:
    """Macro F1 of each model with its interval, as a data URI."""
    figure, axes = figure_of(6.4, 0.9 + 0.4 * len(rows))
    for place, row in enumerate(reversed(rows)):
        low, high = row.macro_f1.value - row.macro_f1.low, row.macro_f1.high - row.macro_f1.value
        axes.errorbar(
            row.macro_f1.value, place, xerr=[[max(0, low)], [max(0, high)]], fmt="o", color="#0b6bcb", capsize=3
        )
    axes.set_yticks(range(len(rows)), [row.model for row in reversed(rows)])
    axes.set(xlabel="macro F1", ylim=(-0.6, len(rows) - 0.4))
    return svg_of(figure)


def _narrowed(candidate: Candidate, labels: Sequence[str]) -> Candidate:
    return Candidate(candidate.name, candidate.predictions.only(labels), candidate.temperature)


def _table(candidates: Sequence[Candidate], config: JudgeConfig) -> ComparisonTable:
    parts = [judge_part(item.predictions, config, item.temperature) for item in candidates]
    draws = [_replicates(item.predictions, config) for item in candidates]
    best = max(part.metrics.macro_f1 for part in parts)
    rows = [
        _row(item, part, None if index == 0 else _difference(part, parts[0], draws[index], draws[0]), best)
        for index, (item, part) in enumerate(zip(candidates, parts, strict=True))
    ]
    return ComparisonTable(labels=parts[0].labels, rows=tuple(rows))


def _row(candidate: Candidate, part: Part, difference: Interval | None, best: float) -> ComparisonRow:
    chances = probabilities(candidate.predictions.logits, candidate.temperature)
    return ComparisonRow(
        model=candidate.name,
        macro_f1=part.intervals["macro_f1"],
        top1=part.intervals["top1"],
        ece=expected_calibration_error(chances, candidate.predictions.targets),
        f1=tuple(item.f1 if item.support else None for item in part.metrics.classes),
        difference=difference,
        best=part.metrics.macro_f1 == best,
    )


def _replicates(predictions: Predictions, config: JudgeConfig) -> Floats:
    return macro_f1(resample(_sums(predictions), config.samples, config.seed))


def _sums(predictions: Predictions) -> Floats:
    """→ (G, C, 3): hits, predictions and examples of each class in each group."""
    called = predictions.logits.argmax(axis=1)
    return group_counts(called, predictions.targets, len(predictions.labels), predictions.groups)


def _difference(part: Part, first: Part, draws: Floats, first_draws: Floats) -> Interval:
    value = part.metrics.macro_f1 - first.metrics.macro_f1
    return interval(value, draws - first_draws, part.intervals["macro_f1"].groups)


def _check(candidates: Sequence[Candidate]) -> None:
    problems = []
    if len(candidates) < 2:
        problems.append(f"a comparison takes two models or more, got {len(candidates)}")
    names = [item.name for item in candidates]
    problems += [f"two models are called {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    for item in candidates[1:]:
        first = candidates[0]
        if set(item.predictions.labels) != set(first.predictions.labels):
            problems.append(f"{item.name} knows other classes than {first.name}")
        if [record.path for record in item.predictions.records] != [r.path for r in first.predictions.records]:
            problems.append(f"{item.name} was asked about other clips than {first.name}")
    if problems:
        raise EvaluationError("; ".join(problems))
