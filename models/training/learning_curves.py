"""Learning curves as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.training.state import Row

PANELS = (("loss", ("loss", "val_loss")), ("score", ("val_accuracy", "val_macro_f1")), ("rate", ("learning_rate",)))


def draw_curves(history: Sequence[Row], path: Path, title: str) -> None:
    """Write a PNG of loss, scores and learning rate over the epochs, whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # an extra; only pictures need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in history]
    for axes, (name, curves) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for curve in (curve for curve in curves if curve in history[0]):
            axes.plot(epochs, [row[curve] for row in history], marker=".", label=curve.replace("_", " "))
        axes.set(xlabel="epoch", title=name)
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend()
    figure.suptitle(title)
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, dpi=100, format="png")
    part.replace(path)
