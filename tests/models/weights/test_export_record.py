from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.errors import ExportError
from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard
from models.weights.export_record import (
    EXPORTS_FOLDER,
    RECORD_FILE,
    ExportFormat,
    ExportRecord,
    Parity,
    find_export,
    read_export,
    read_exports,
)

NETWORK, OTHER = "a" * 64, "b" * 64
SHAPE = (9, 32, 32, 3)
CONTENT = b"a graph"


def parity(agreement: float = 1.0, **changes: Any) -> Parity:
    facts = {
        "clips": 100,
        "source": "a street",
        "max_logit_difference": 0.1,
        "mean_logit_difference": 0.01,
        "top1_agreement": agreement,
        "latency_ms": 50.0,
        "reference_latency_ms": 100.0,
        "runner": "fast",
        "reference": "slow",
        "host": "a machine",
    }
    return Parity(**{**facts, **changes})


def record(**changes: Any) -> ExportRecord:
    facts: dict[str, Any] = {
        "format": ExportFormat.ONNX,
        "precision": "f32",
        "runtime": "onnx",
        "file": "model.onnx",
        "clip_shape": SHAPE,
        "model_sha256": NETWORK,
        "sha256": {"model.onnx": hashlib.sha256(CONTENT).hexdigest()},
        "size_bytes": len(CONTENT),
        "parity": parity(),
        "usable_by_default": True,
    }
    return ExportRecord(**{**facts, **changes})


def publish(card: ModelCard, name: str, content: ExportRecord) -> Path:
    folder = card.folder / EXPORTS_FOLDER / name
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(CONTENT)
    (folder / RECORD_FILE).write_text(content.model_dump_json(), "utf-8")
    return folder


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    checksums = {MODEL_FILE: NETWORK, LABELS_FILE: OTHER}
    facts: dict[str, Any] = {"name": "net", "kind": "se_i3d", "num_classes": 2, "provenance": "test", "licence": "none"}
    assert (tmp_path / CARD_FILE).exists() is False
    return ModelCard(**facts, sha256=checksums, folder=tmp_path)


def test_record_survives_its_file_and_says_where_it_lies(card: ModelCard) -> None:
    folder = publish(card, "onnx", record())
    found = read_export(folder)
    assert found == record(folder=folder)
    assert found.path == folder / "model.onnx"
    assert found.parity is not None
    assert found.parity.latency_ratio == 0.5
    assert found.parity.accuracy_change is None
    assert parity(accuracy=0.75, reference_accuracy=1.0).accuracy_change == -0.25


def test_read_exports_leaves_out_what_is_broken_or_outdated_and_says_so(
    card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    publish(card, "good", record())
    publish(card, "outdated", record(model_sha256=OTHER))
    publish(card, "broken", record())
    (card.folder / EXPORTS_FOLDER / "broken" / RECORD_FILE).write_text("{}")
    publish(card, "unfinished", record())
    (card.folder / EXPORTS_FOLDER / "unfinished" / RECORD_FILE).unlink()
    publish(card, ".export-x", record())
    with caplog.at_level(logging.WARNING):
        names = [each.folder.name for each in read_exports(card)]
    assert names == ["good"]
    for word in ("outdated was made from an earlier", "broken/export.json: format", "unfinished/export.json cannot"):
        assert word in caplog.text
    assert ".export-x" not in caplog.text


def test_read_exports_of_a_folder_without_any_is_empty(card: ModelCard) -> None:
    assert read_exports(card) == []


def test_find_export_goes_by_format_precision_and_clip_and_verifies_its_files(card: ModelCard) -> None:
    folder = publish(card, "onnx", record())
    found = find_export(card, ExportFormat.ONNX, "f32", SHAPE)
    assert found is not None and found.folder == folder
    assert find_export(card, ExportFormat.ONNX, "f32", (16, 32, 32, 3)) is None
    assert find_export(card, ExportFormat.ONNX, "int8", SHAPE) is None
    assert find_export(card, ExportFormat.LITERT, "f32", SHAPE) is None
    (folder / "model.onnx").write_bytes(b"another graph")
    with pytest.raises(ExportError, match=r"model\.onnx is damaged: sha256 .*, its record expects"):
        find_export(card, ExportFormat.ONNX, "f32", SHAPE)
    (folder / "model.onnx").unlink()
    with pytest.raises(ExportError, match=r"model\.onnx is missing: export it again"):
        find_export(card, ExportFormat.ONNX, "f32", SHAPE)


def test_verify_reads_nothing_outside_the_folder(card: ModelCard) -> None:
    folder = publish(card, "onnx", record(sha256={"../../secret": NETWORK}))
    with pytest.raises(ExportError, match="leads out of the folder"):
        read_export(folder).verify()


@pytest.mark.parametrize(
    "changes", [{"parity": parity(0.98)}, {"parity": None}, {"runtime": ""}], ids=["agreement", "parity", "runtime"]
)
def test_record_refuses_to_be_a_default_that_has_not_shown_parity(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="usable_by_default needs a runtime and a top-1 agreement"):
        record(**changes)
    assert record(**changes, usable_by_default=False).usable_by_default is False


def test_record_without_the_default_is_none(card: ModelCard) -> None:
    written = json.loads(record().model_dump_json(exclude={"usable_by_default"}))
    assert ExportRecord.model_validate(written).usable_by_default is False
