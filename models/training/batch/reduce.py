"""The folds that jobs have trained, together: every clip judged once, by a network that had not seen its group."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import NotStoredError, StoreError, TrainingError
from models.store.protocol import Store
from models.training.batch.remote_state import DONE_FILE, PREDICTIONS_FILE
from models.training.batch.share import Share
from models.training.run.scores import scores

SUMMARY_FILE, TABLE_FILE = "cv.json", "cv_predictions.csv"
Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Folds:
    """``rows``: scores of each fold, in their order; ``pooled``: of all clips together."""

    rows: tuple[Scores, ...]
    pooled: Scores


def reduce_folds(store: Store, folds: int) -> Folds:
    """Write ``cv.json`` and ``cv_predictions.csv`` beside the folds, as ``actoscope train`` does.

    Raises TrainingError where folds are missing, or were trained on other classes; StoreError.
    """
    shares = [Share(index, folds) for index in range(folds)]
    missing = [share.name for share in shares if store.head(f"{share.name}/{DONE_FILE}") is None]
    if missing:
        raise TrainingError(f"{', '.join(missing)} of {folds} folds are not done: nothing can be compared yet")
    rows = tuple(_json(store, f"{share.name}/{DONE_FILE}")["metrics"] for share in shares)
    said = [_json(store, f"{share.name}/{PREDICTIONS_FILE}") for share in shares]
    labels = said[0]["labels"]
    if any(each["labels"] != labels for each in said):
        raise TrainingError("the folds know different classes: they are not of one training")
    clips = [clip for each in said for clip in each["rows"]]
    logits = np.array([clip["logits"] for clip in clips], np.float32)
    found = Folds(rows, scores(logits, [labels.index(clip["label"]) for clip in clips]))
    summary = {"pooled": {f"cv_{name}": value for name, value in found.pooled.items()}, "folds": list(rows)}
    store.put_bytes(SUMMARY_FILE, (json.dumps(summary, indent=2) + "\n").encode())
    store.put_bytes(TABLE_FILE, _table(labels, said).encode())
    return found


def table(found: Folds) -> Iterator[tuple[object, ...]]:
    """Rows to print: a fold each, their mean and spread, and all clips together."""
    names = list(found.pooled)
    yield ("", *names)
    for number, row in enumerate(found.rows, 1):
        yield (f"fold {number}", *(f"{row[name]:.4f}" for name in names))
    values = np.array([[row[name] for name in names] for row in found.rows])
    yield ("mean", *(f"{value:.4f}" for value in values.mean(axis=0)))
    yield ("spread (sd)", *(f"{value:.4f}" for value in values.std(axis=0)))
    yield ("all clips", *(f"{found.pooled[name]:.4f}" for name in names))


def _table(labels: list[str], said: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "group", "fold", *labels))
    for number, each in enumerate(said, 1):
        for clip in each["rows"]:
            writer.writerow((clip["path"], clip["label"], clip["group"], number, *clip["logits"]))
    return text.getvalue()


def _json(store: Store, key: str) -> dict[str, Any]:
    try:
        found = json.loads(store.read(key)[0])
    except (NotStoredError, ValueError) as error:
        raise StoreError(f"{key} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise StoreError(f"{key} is damaged: expected an object, got {type(found).__name__}")
    return found
