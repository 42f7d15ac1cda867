"""What a training leaves to look at: ``log.csv``, TensorBoard events, and a picture of its curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from models.training.run.state import Row
from pipeline.files import write_atomically

CSV_FILE, EVENTS_FOLDER, CURVES_FILE = "log.csv", "tensorboard", "curves.png"
PANELS = (("loss", ("loss", "val_loss")), ("score", ("val_accuracy", "val_macro_f1")), ("rate", ("learning_rate",)))


class TrainingLog:
    """Writes after every epoch. A resumed training goes on in the same files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, history: Sequence[Row]) -> None:
        """``history``: every epoch up to now, oldest first."""
        write_csv(self._folder / CSV_FILE, history)
        write_events(self._folder / EVENTS_FOLDER, history[-1])


def write_csv(path: Path, history: Sequence[Row]) -> None:
    """One row an epoch, written whole: a row that a kill left behind twice cannot be."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)
    write_atomically(path, text.getvalue())


def write_events(folder: Path, row: Row) -> None:
    """One TensorBoard file an epoch: nothing stays open between epochs, and a kill damages none."""
    epoch = int(row["epoch"])
    writer = EventFileWriter(str(folder), filename_suffix=f".{epoch:04d}")
    values = [Summary.Value(tag=name, simple_value=value) for name, value in row.items() if name != "epoch"]
    writer.add_event(Event(step=epoch, summary=Summary(value=values)))
    writer.close()


def draw_curves(history: Sequence[Row], path: Path, title: str) -> None:
    """Write a PNG of loss, scores and learning rate over the epochs, whole or not at all."""
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
    write_atomically(path, lambda file: figure.savefig(file, dpi=100, format="png"))
