"""The results as Markdown, alone and inside a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import document
from benchmarks.ablation.rows import ROWS, TABLE, How

MARKS = document.marks("benchmarks/ablations.py")


def markdown(report: Mapping[str, Any]) -> str:
    """The table. Rows that are not measured say so."""
    lines = [
        "| Part | Variant | macro F1, 4 classes | macro F1, 3 classes | to the base row | training | features |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = report["rows"]
    for part, variants in TABLE:
        for number, (label, name) in enumerate(variants):
            shown = f"**{label}** (base)" if name == "base" else label
            lines.append(f"| {'' if number else part} | {shown} | {_cells(name, rows, report['failed'])} |")
    return "\n".join(lines) + "\n"


def _cells(name: str, rows: Mapping[str, Any], failed: Mapping[str, str]) -> str:
    row = rows.get(name)
    if row is None:
        return f"{'failed' if name in failed else 'not run'} | | | |"
    difference = "" if name == "base" or not row["difference"] else ranged(row["difference"], "+")
    figures = (ranged(row["macro_f1"]), ranged(row["macro_f1_three"]), difference)
    return " | ".join((*figures, _training(name, row, rows), _features(name, row, rows)))


def ranged(values: Sequence[float], sign: str = "") -> str:
    return f"{values[0]:{sign}.3f} [{values[1]:{sign}.3f}, {values[2]:{sign}.3f}]"


def _training(name: str, row: Mapping[str, Any], rows: Mapping[str, Any]) -> str:
    base = rows.get("base", {}).get("train_s")
    own = row["train_s"]
    if name == "streams-added":
        parts = [rows.get(other, {}).get("train_s") for other in ("base", "flow")]
        own = sum(parts) if all(parts) else None
    if ROWS[name].how is How.SHORTER:
        return "as base"
    return f"×{own / base:.2f}" if own and base else ""


def _features(name: str, row: Mapping[str, Any], rows: Mapping[str, Any]) -> str:
    if ROWS[name].how is How.ADDED:
        flow = rows.get("flow", {})
        return f"×{1 + flow['feature_s'] / flow['base_feature_s']:.2f}" if flow.get("feature_s") else ""
    return f"×{row['feature_s'] / row['base_feature_s']:.2f}" if row["feature_s"] else "×1"


def with_table(text: str, table: str) -> str:
    """→ the document with what stands between the marks replaced. Raises ValueError where it has none."""
    return document.with_table(text, table, MARKS)
