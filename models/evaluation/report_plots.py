"""The plots of the evaluation report, as SVG in data URIs: nothing is fetched, and they stay sharp at any size."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.evaluation.figures.calibration import Calibration
from models.evaluation.figures.metrics import Curve, Metrics
from models.evaluation.videos.event_curve import EventCurve

MOST_CLASSES = 30  # of a confusion matrix that people can read
COLOURS = ("#0b6bcb", "#d9480f", "#2b8a3e", "#862e9c", "#c92a2a", "#0c8599", "#e67700", "#495057")


def confusion_plot(metrics: Metrics) -> str | None:
    """Truth in rows, shares of the row as shades and counts as numbers; None with too many classes to read."""
    labels = [item.label for item in metrics.classes]
    if len(labels) > MOST_CLASSES:
        return None
    counts = np.asarray(metrics.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.9 + 0.55 * len(labels)
    figure, axes = figure_of(side + 0.6, side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="called", ylabel="truth")
    axes.spines[:].set_visible(False)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            ink = "white" if shares[row, column] > 0.55 else "#222"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink)
    return svg_of(figure)


def curve_plot(curves: Sequence[Curve], x_name: str, y_name: str, area_name: str, diagonal: bool) -> str | None:
    """ROC (with the diagonal of guessing) or precision-recall; None without a curve."""
    if not curves:
        return None
    figure, axes = figure_of(4.4, 4.0)
    if diagonal:
        axes.plot([0, 1], [0, 1], color="#adb5bd", linestyle=":", linewidth=1)
    for index, curve in enumerate(curves):
        style = {"color": COLOURS[index % len(COLOURS)], "linestyle": "-" if index < len(COLOURS) else "--"}
        # Average precision is the area under steps, ROC's under straight lines.
        steps = "default" if diagonal else "steps-post"
        axes.plot(
            curve.x,
            curve.y,
            drawstyle=steps,
            label=f"{curve.label} ({area_name} {curve.area:.3f})",
            linewidth=1.6,
            **style,
        )
    axes.set(xlabel=x_name, ylabel=y_name, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(fontsize=8, frameon=False, loc="lower right" if diagonal else "lower left")
    return svg_of(figure)


def reliability_plot(parts: Sequence[tuple[str, Calibration]]) -> str:
    """Accuracy against confidence by bin, one panel a calibration; below, how many predictions each bin holds."""
    figure, panels = figure_of(3.6 * len(parts), 4.2, rows=2, columns=len(parts))
    for column, (name, part) in enumerate(parts):
        top, bottom = panels[0][column], panels[1][column]
        bins = [item for item in part.bins if item.count]
        width = part.bins[0].high - part.bins[0].low
        middles = [(item.low + item.high) / 2 for item in bins]
        top.bar(middles, [item.accuracy for item in bins], width, color=COLOURS[0], edgecolor="white", alpha=0.85)
        top.plot([item.confidence for item in bins], [item.accuracy for item in bins], ".", color=COLOURS[1])
        top.plot([0, 1], [0, 1], color="#adb5bd", linestyle=":", linewidth=1)
        top.set(xlim=(0, 1), ylim=(0, 1.02), title=f"{name}\nECE {part.ece:.3f}, T {part.temperature:.2f}")
        bottom.bar(middles, [item.count for item in bins], width, color="#868e96", edgecolor="white")
        bottom.set(xlim=(0, 1), xlabel="confidence")
        if column == 0:
            top.set_ylabel("accuracy")
            bottom.set_ylabel("clips")
    return svg_of(figure)


def event_curve_plot(curve: EventCurve) -> str:
    """Against the threshold: false events an hour (left), share of true events found and their delay (right)."""
    figure, panels = figure_of(9.6, 3.8, rows=1, columns=2)
    false, found = panels[0]
    at = [point.threshold for point in curve.points]
    rates = [point.false_per_hour for point in curve.points]
    if all(rates):
        known = [rate for rate in rates if rate is not None]
        false.fill_between(at, [r.low for r in known], [r.high for r in known], color=COLOURS[1], alpha=0.15)
        false.plot(at, [rate.value for rate in known], color=COLOURS[1], linewidth=1.6)
    false.set(xlabel="threshold", ylabel="false events an hour", ylim=(0, None))
    for name, colour in (("actions", COLOURS[0]), ("videos", COLOURS[2])):
        shares = [getattr(point, name) for point in curve.points]
        if all(shares):
            found.plot(at, [each.share.value for each in shares], color=colour, label=f"{name} found", linewidth=1.6)
            delays = [np.nan if each.delay_p50_s is None else each.delay_p50_s for each in shares]
            found.plot(at, delays, color=colour, linestyle=":", label=f"{name}, delay p50 in s")
    found.set(xlabel="threshold", ylabel="share found, seconds", ylim=(0, None))
    if found.lines:
        found.legend(fontsize=8, frameon=False)
    for panel in (false, found):
        panel.axvline(curve.default.threshold, color="#adb5bd", linestyle="--", linewidth=1)
    return svg_of(figure)


def figure_of(width: float, height: float, rows: int = 1, columns: int = 1) -> Any:
    """A figure of its own, without pyplot's global state; → figure, axes (one, or [rows][columns])."""
    figure = _matplotlib().figure.Figure(figsize=(width, height), layout="constrained")
    if rows == columns == 1:
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        return figure, axes
    panels = figure.subplots(rows, columns, squeeze=False, sharex="col", height_ratios=[3] + [1] * (rows - 1))
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def svg_of(figure: Any) -> str:
    """Figure → ``data:image/svg+xml;base64,…``."""
    return data_uri(svg_bytes(figure), "image/svg+xml")


def svg_bytes(figure: Any) -> bytes:
    """Figure → SVG, the same bytes for the same figure."""
    data = io.BytesIO()
    with _matplotlib().rc_context({"svg.hashsalt": "actoscope", "svg.fonttype": "path"}):
        figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return data.getvalue()


def data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _matplotlib() -> Any:
    import matplotlib.figure  # noqa: PLC0415 - an extra that only reports need

    return matplotlib
