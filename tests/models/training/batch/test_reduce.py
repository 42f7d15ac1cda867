"""Folds of several jobs, together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import StoreError, TrainingError
from models.store.folder import FolderStore
from models.training.batch.reduce import reduce_folds, table
from models.training.batch.share import Share


def fold(store: FolderStore, number: int, logits: list[list[float]], **changes: Any) -> None:
    rows = [
        {"path": f"clips/{number}-{i}.mp4", "label": "ab"[i % 2], "group": f"g{number}", "logits": row}
        for i, row in enumerate(logits)
    ]
    said = {"labels": ["a", "b"], "rows": rows, **changes}
    scores = {"loss": 0.1 * number, "accuracy": number / 2, "macro_f1": number / 4}
    store.put_bytes(f"fold-{number}/predictions.json", json.dumps(said).encode())
    store.put_bytes(f"fold-{number}/DONE", json.dumps({"key": "k", "metrics": scores}).encode())


def test_folds_are_judged_each_and_all_clips_together(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    fold(store, 1, [[2.0, 0.0], [0.0, 2.0]])
    fold(store, 2, [[2.0, 0.0], [2.0, 0.0]])
    found = reduce_folds(store, 2)
    assert found.pooled["accuracy"] == 0.75
    rows = [tuple(row) for row in table(found)]
    assert rows[0] == ("", "loss", "accuracy", "macro_f1")
    assert rows[1:4] == [
        ("fold 1", "0.1000", "0.5000", "0.2500"),
        ("fold 2", "0.2000", "1.0000", "0.5000"),
        ("mean", "0.1500", "0.7500", "0.3750"),
    ]
    assert rows[4][:2] == ("spread (sd)", "0.0500") and rows[5][2] == "0.7500"
    assert set(json.loads(store.read("cv.json")[0])["pooled"]) == {"cv_loss", "cv_accuracy", "cv_macro_f1"}
    lines = store.read("cv_predictions.csv")[0].decode().splitlines()
    assert lines[0] == "path,label,group,fold,a,b" and lines[-1] == "clips/2-1.mp4,b,g2,2,2.0,0.0"


def test_missing_folds_are_named_and_those_of_other_classes_refused(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    fold(store, 2, [[1.0, 0.0]])
    with pytest.raises(TrainingError, match="fold-1, fold-3 of 3 folds are not done"):
        reduce_folds(store, 3)
    fold(store, 1, [[1.0, 0.0]], labels=["a", "c"])
    with pytest.raises(TrainingError, match="different classes"):
        reduce_folds(store, 2)
    store.put_bytes("fold-1/predictions.json", b"[]")
    with pytest.raises(StoreError, match="expected an object"):
        reduce_folds(store, 2)


def test_share_is_named_as_folders_of_folds_are() -> None:
    assert (Share(0, 5).name, Share(4, 5).name, Share().name) == ("fold-1", "fold-5", "final")
    for index, folds in ((5, 5), (-1, 2), (0, 0)):
        with pytest.raises(TrainingError):
            Share(index, folds)
