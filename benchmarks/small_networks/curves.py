"""What benchmarks/heads.py measured, as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.small_networks.rare import RECALLS
from benchmarks.small_networks.tables import best_rate
from models.evaluation.report_plots import COLOURS, figure_of, svg_bytes

WEIGHTED = ", classes weighted"  # ends the name of such a loss


def optimiser_curves(found: Mapping[str, Any]) -> bytes:
    """→ SVG: macro F1 on held-out clips after every epoch, of each optimiser at its best rate; a panel for each number
    of epochs, and at its end the intervals.
    """
    figure, panels = _panels(10.0, 4.0, len(found))
    for axes, (epochs, rows) in zip(panels, found.items(), strict=True):
        for number, (name, by_rate) in enumerate((name, by_rate) for name, by_rate in rows.items() if by_rate):
            rate = best_rate(by_rate)
            curve, (value, low, high) = by_rate[rate]["by_epoch"], by_rate[rate]["macro_f1"]
            colour, last = COLOURS[number % len(COLOURS)], len(curve) * (1.03 + 0.025 * number)
            axes.plot(range(1, len(curve) + 1), curve, color=colour, label=f"{name}, {rate}", linewidth=1.6)
            axes.errorbar(last, value, [[value - low], [high - value]], fmt=".", color=colour, elinewidth=1)
        axes.set(title=f"{epochs} epochs", xlabel="epoch", ylabel="macro F1, held out", ylim=(0, 0.9))
        axes.legend(fontsize=8, frameon=False, loc="lower right")
    return svg_bytes(figure)


def loss_curves(found: Mapping[str, Any]) -> bytes:
    """→ SVG: precision against recall of fights, a panel for each ratio; one colour a γ, dashed without weights."""
    figure, panels = _panels(12.0, 4.2, len(found))
    for axes, (ratio, rows) in zip(panels, found.items(), strict=True):
        gammas = list(dict.fromkeys(name.removesuffix(WEIGHTED) for name in rows))
        for name, row in rows.items():
            colour = COLOURS[gammas.index(name.removesuffix(WEIGHTED)) % len(COLOURS)]
            style = "-" if name.endswith(WEIGHTED) else "--"
            axes.plot(RECALLS, row["precision_at"], style, color=colour, label=name, linewidth=1.4)
        axes.set(title=f"1 to {ratio}", xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.legend(fontsize=7, frameon=False, loc="lower left")
    return svg_bytes(figure)


def _panels(width: float, height: float, count: int) -> Any:
    """→ figure, axes side by side (count,)."""
    figure, axes = figure_of(width, height, rows=1, columns=count)
    return figure, np.ravel(axes)
