"""What every row measures, and the rows as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.ablation.figures import measured
from benchmarks.ablation.table import ranged
from benchmarks.voice.answers import Study
from benchmarks.voice.rows import BASE, ROWS
from models.evaluation.figures.calibration import calibration, fit_by_group
from models.evaluation.figures.predictions import Predictions

KEPT = ("macro_f1", "macro_f1_three", "f1", "difference", "clips")


def report_of(study: Study, say: Callable[[str], None]) -> dict[str, Any]:
    """→ the figures of every row whose voices are there."""
    base = study.together(ROWS[BASE].voices)
    rows: dict[str, Any] = {}
    for name, row in ROWS.items():
        given = study.together(row.voices)
        if given is not None:
            rows[name] = figures(given, base if name != BASE else None)
            say(f"{name}: {ranged(rows[name]['macro_f1'])}, three {ranged(rows[name]['macro_f1_three'])}")
    return {"labels": list(study.dataset.labels), "rows": rows}


def with_earlier(report: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """→ the report, with rows of an earlier one, of the same classes and as many clips, that this one has not."""
    clips = {row["clips"] for row in report["rows"].values()}
    earlier = before["rows"] if before["labels"] == report["labels"] else {}
    kept = {name: row for name, row in earlier.items() if {row["clips"]} == clips}
    found = {**kept, **report["rows"]}
    return {**report, "rows": {name: found[name] for name in ROWS if name in found}}


def figures(given: Predictions, base: Predictions | None) -> dict[str, Any]:
    """→ what the table shows. ``ece``: with temperatures that other source videos gave."""
    result = {key: value for key, value in asdict(measured(given, base)).items() if key in KEPT}
    found = calibration(given.logits, given.targets, fit_by_group(given.logits, given.targets, given.groups))
    return result | {"ece": round(found.ece, 4), "nll": round(found.nll, 4), "temperature": round(found.temperature, 3)}


def markdown(report: Mapping[str, Any]) -> str:
    """The table. Rows that were not measured say so."""
    labels = report["labels"]
    lines = [
        f"| | Voices | macro F1, 4 classes | macro F1, 3 classes | to the base row | F1: {', '.join(labels)} | ECE |",
        "|---|---|---|---|---|---|---|",
    ]
    part = ""
    for name, row in ROWS.items():
        shown = f"**{row.label}** (base)" if name == BASE else row.label
        lines.append(f"| {row.part if row.part != part else ''} | {shown} | {_cells(report['rows'].get(name))} |")
        part = row.part
    return "\n".join(lines) + "\n" + _judged_by(report)


def _cells(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not run | | | |"
    difference = ranged(row["difference"], "+") if row["difference"] else ""
    classes = " ".join(f"{value:.2f}" for value in row["f1"].values())
    return " | ".join(
        (ranged(row["macro_f1"]), ranged(row["macro_f1_three"]), difference, classes, f"{row['ece']:.3f}")
    )


def _judged_by(report: Mapping[str, Any]) -> str:
    clips = max((row["clips"] for row in report["rows"].values()), default=0)
    return f"\n{clips} held-out clips of five folds, {report['machine']['cpu']}.\n" if clips else ""
