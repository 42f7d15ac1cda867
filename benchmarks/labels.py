"""How far two passes over the same tracks agree, and the labels that both gave.

    python benchmarks/labels.py [--passes FILE] [--write FILE] [--json FILE]

``--passes``: a table clip, track_id, start_frame, end_frame, source_group, split, first, second: a row a track, and
what it was called in each pass. Cohen's kappa (1960) is agreement beyond what two people would reach who give each
label as often as they did, but by chance; a class's agreement is 2·both / (first + second). Intervals are 95 %
bootstraps over source groups, since people of one video are alike. ``--write``: the rows that have one label in both
passes, which is not Unclear, as a table of actions.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from models.evaluation.figures.bootstrap import Interval, bootstrap, group_counts  # noqa: E402
from models.evaluation.figures.metrics import Floats, accuracy, class_scores, ratio  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

FOLDER = REPOSITORY / "models" / "configs" / "surveillance_tracks"
LABELS = ("Fighting", "Standing", "Walking", "Other", "Unclear")
UNCLEAR = "Unclear"
PLACE = ("clip", "track_id", "start_frame", "end_frame")
COLUMNS = (*PLACE, "source_group", "split", "first", "second")
ACTIONS = (*PLACE, "label", "source_group", "split")


@dataclass(frozen=True, slots=True)
class Agreement:
    """``tracks`` that were looked at twice; ``classes``: each label's agreement and how often each pass gave it."""

    tracks: int
    share: Interval
    kappa: Interval
    classes: dict[str, tuple[Interval, int, int]]


def read_passes(path: Path) -> list[dict[str, str]]:
    """Raises ValueError naming what is wrong with the table."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {reader.fieldnames}")
        rows = list(reader)
    for row in rows:
        unknown = {row["first"], row["second"]} - set(LABELS)
        if unknown:
            raise ValueError(f"{path}: {row['clip']}, track {row['track_id']}: expected {LABELS}, got {unknown}")
    return rows


def agreement(rows: Sequence[dict[str, str]], labels: Sequence[str] = LABELS) -> Agreement:
    """Of ``rows`` whose labels are among ``labels``."""
    known = [row for row in rows if row["first"] in labels and row["second"] in labels]
    first, second = (np.array([labels.index(row[name]) for row in known]) for name in ("first", "second"))
    sums = group_counts(second, first, len(labels), [row["source_group"] for row in known])
    classes = {
        label: (bootstrap(sums, _of_class(index)), int((first == index).sum()), int((second == index).sum()))
        for index, label in enumerate(labels)
    }
    return Agreement(len(known), bootstrap(sums, accuracy), bootstrap(sums, kappa), classes)


def kappa(counts: Floats) -> Floats:
    """Tables (B, C, 3) of both, second and first → (B,) Cohen's kappa; 0 where chance alone explains everything."""
    tracks = counts[..., 2].sum(axis=-1)
    chance = ratio((counts[..., 1] * counts[..., 2]).sum(axis=-1), tracks**2)
    return ratio(accuracy(counts) - chance, 1 - chance)


def _of_class(index: int) -> Callable[[Floats], Floats]:
    return lambda counts: class_scores(counts)[2][..., index]


def agreed(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The rows as actions that both passes call the same, and not Unclear."""
    kept = [row for row in rows if row["first"] == row["second"] != UNCLEAR]
    return [{**{name: row[name] for name in ACTIONS if name != "label"}, "label": row["first"]} for row in kept]


def write_actions(path: Path, rows: Sequence[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, ACTIONS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def table(found: Agreement) -> str:
    """As Markdown."""
    lines = ["| | agreement | first | second |", "|---|---|---|---|"]
    lines += [f"| {label} | {shown(span)} | {one} | {two} |" for label, (span, one, two) in found.classes.items()]
    lines.append(f"| all, share | {shown(found.share)} | {found.tracks} | {found.tracks} |")
    lines.append(f"| all, Cohen's kappa | {shown(found.kappa)} | | |")
    return "\n".join(lines)


def shown(span: Interval) -> str:
    return f"{span.value:.2f} [{span.low:.2f}, {span.high:.2f}]"


def report(found: Agreement) -> dict[str, object]:
    classes = {label: {"agreement": span.model_dump(), "first": one, "second": two}
               for label, (span, one, two) in found.classes.items()}  # fmt: skip
    return {"tracks": found.tracks, "share": found.share.model_dump(), "kappa": found.kappa.model_dump(),
            "classes": classes}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=Path, default=FOLDER / "passes.csv")
    parser.add_argument("--write", type=Path, help="table of the labels that both passes gave")
    parser.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "labels.json")
    options = parser.parse_args()
    rows = read_passes(options.passes)
    every, clear = agreement(rows), agreement(rows, LABELS[:-1])
    print(f"{table(every)}\n\nwhere neither pass said {UNCLEAR}:\n\n{table(clear)}")
    if options.write:
        write_actions(options.write, agreed(rows))
    write_atomically(options.json, json.dumps({"all": report(every), "clear": report(clear)}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
