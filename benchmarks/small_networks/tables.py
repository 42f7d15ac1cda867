"""What benchmarks/heads.py measured, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.ablation.table import ranged
from benchmarks.small_networks.rare import AREA

NOT_RUN = "Not run.\n"


def optimiser_table(found: Mapping[str, Any]) -> str:
    """One row an optimiser and number of epochs, one column a learning rate; the best of each row in bold."""
    rates = sorted({rate for rows in found.values() for by_rate in rows.values() for rate in by_rate}, key=float)
    lines = [f"| Optimiser | epochs | {' | '.join(rates)} | best |", "|---" * (3 + len(rates)) + "|"]
    for epochs, rows in found.items():
        for name, by_rate in ((name, by_rate) for name, by_rate in rows.items() if by_rate):
            best = best_rate(by_rate)
            cells = [_cell(by_rate.get(rate), rate == best) for rate in rates]
            lines.append(f"| {name} | {epochs} | {' | '.join(cells)} | {ranged(by_rate[best]['macro_f1'])} |")
    return "\n".join(lines) + "\n"


def best_rate(by_rate: Mapping[str, Any]) -> str:
    return max(by_rate, key=lambda rate: by_rate[rate]["macro_f1"][0])


def _cell(row: Mapping[str, Any] | None, best: bool) -> str:
    if row is None:
        return "not run"
    return f"**{row['macro_f1'][0]:.3f}**" if best else f"{row['macro_f1'][0]:.3f}"


def loss_table(found: Mapping[str, Any]) -> str:
    """One row a ratio and loss."""
    lines = ["| Fights in training | Loss | average precision | to γ = 0 | F1 | recall |", "|---|---|---|---|---|---|"]
    for ratio, rows in found.items():
        for number, (name, row) in enumerate(rows.items()):
            lines.append(f"| {'' if number else f'1 to {ratio}'} | {name} | {' | '.join(_figures(row))} |")
    return "\n".join(lines) + "\n"


def _figures(row: Mapping[str, Any]) -> Sequence[str]:
    difference = ranged(row["difference"], "+") if row["difference"] else ""
    return ranged(row[AREA]), difference, ranged(row["f1"]), ranged(row["recall"])


def judged_by(report: Mapping[str, Any]) -> str:
    """→ a line that says on what."""
    clips = ", ".join(f"{count} {label}" for label, count in report["clips"].items())
    total = sum(report["clips"].values())
    return f"\n{total} tracks ({clips}) of {report['groups']} sources, {report['machine']['cpu']}.\n"
