"""Which export or conversion a runtime opens, and what becomes of a conversion that fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import ExportError, RuntimeUnavailableError
from models.runtimes import converted
from models.runtimes.converted import openvino_graph, ready
from models.runtimes.load import load_runner
from models.runtimes.runner import Precision, RuntimeOptions
from models.weights.cards import MODEL_FILE, ModelCard, read_card
from models.weights.export_record import EXPORTS_FOLDER, RECORD_FILE, ExportFormat, ExportRecord, Parity
from models.weights.shipped_graph import GRAPH_FILE, GRAPH_FILES
from pipeline.files import file_sha256
from tests.models.small_network import SMALL_CLIP, small_folder

SHAPE = (*SMALL_CLIP, 3)
F32 = RuntimeOptions(precision=Precision.F32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_folder(tmp_path_factory.mktemp("weights") / "small")


@pytest.fixture
def card(folder: Path, tmp_path: Path) -> ModelCard:
    return read_card(Path(shutil.copytree(folder, tmp_path / "small")))


def writer(calls: list[str], error: Exception | None = None) -> Callable[..., None]:
    """Takes the place of the child that converts."""

    def convert(row: object, precision: str, card: ModelCard, clip_shape: object, target: Path) -> None:
        calls.append(precision)
        target.write_bytes(b"graph")
        target.with_suffix(".bin").write_bytes(b"weights")
        if error is not None:
            raise error

    return convert


def test_ready_takes_the_fastest_usable_export_unless_one_is_named(card: ModelCard, tmp_path: Path) -> None:
    for precision, ratio in (("f32", 0.9), ("int8", 0.4), ("f16", 0.6)):
        source = tmp_path / "write" / precision
        source.mkdir(parents=True)
        publish_bytes(card, precision, ratio)
    found = ready(card, ExportFormat.LITERT, SHAPE, RuntimeOptions())
    assert found.precision == "int8"
    assert ready(card, ExportFormat.LITERT, SHAPE, F32).precision == "f32"
    with pytest.raises(RuntimeUnavailableError, match="runtime litert computes in f32, f16, int8; got 'bf16'"):
        ready(card, ExportFormat.LITERT, SHAPE, RuntimeOptions(precision=Precision.BF16))


def publish_bytes(card: ModelCard, precision: str, ratio: float) -> None:
    """A record of a LiteRT export whose file is no network: for tests that only choose."""
    target = card.folder / EXPORTS_FOLDER / f"litert-{precision}"
    target.mkdir(parents=True)
    (target / "model.tflite").write_bytes(precision.encode())
    differences = {"max_logit_difference": 0, "mean_logit_difference": 0, "top1_agreement": 1}
    latency = {"latency_ms": ratio, "reference_latency_ms": 1.0}
    record = ExportRecord(
        format=ExportFormat.LITERT,
        precision=precision,
        runtime="litert",
        file="model.tflite",
        clip_shape=card.clip_shape,
        model_sha256=file_sha256(card.folder / MODEL_FILE),
        sha256={"model.tflite": file_sha256(target / "model.tflite")},
        size_bytes=4,
        parity=Parity(clips=1, source="", runner="", reference="", host="", **latency, **differences),
        usable_by_default=True,
    )
    (target / RECORD_FILE).write_text(record.model_dump_json(), "utf-8")


def test_openvino_graph_is_f32_whatever_it_is_to_compute_in(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(converted, "convert", writer(calls))
    graphs = {
        openvino_graph(card, SHAPE, RuntimeOptions(precision=each))
        for each in (Precision.AUTO, Precision.BF16, Precision.F32)
    }
    assert calls == ["f32"]
    (graph,) = graphs
    graph.with_suffix(".bin").unlink()  # without it the graph is none
    assert openvino_graph(card, SHAPE, F32) == graph
    assert calls == ["f32", "f32"]
    with pytest.raises(RuntimeUnavailableError, match="`actoscope export small --format openvino-int8`"):
        openvino_graph(card, SHAPE, RuntimeOptions(precision=Precision.INT8))


def test_openvino_graph_is_kept_until_something_changes(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = read_card(tiny_folder)
    cache = tiny_folder / "converted"
    graph = openvino_graph(card, card.clip_shape, F32)
    made = graph.stat().st_mtime_ns
    assert openvino_graph(card, card.clip_shape, F32).stat().st_mtime_ns == made
    assert sorted(path.name for path in cache.iterdir()) == [graph.parent.name]
    calls: list[str] = []
    monkeypatch.setattr(converted, "convert", writer(calls))
    options = replace(F32, cache_dir=tiny_folder.parent / "elsewhere")
    others = {openvino_graph(card, shape, options).parent.name for shape in (card.clip_shape, (32, 64, 64, 3))}
    assert len(calls) == 2 and graph.parent.name in others
    monkeypatch.setattr("models.conversion.convert.version", lambda package: "0.0")
    assert openvino_graph(card, card.clip_shape, options).parent.name not in others


def test_conversion_that_fails_says_so_and_leaves_nothing(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RuntimeOptions(cache_dir=tmp_path / "cache")
    monkeypatch.setattr(converted, "convert", writer([], ExportError("no such operation")))
    with pytest.raises(RuntimeUnavailableError, match="no such operation"):
        ready(card, ExportFormat.ONNX, SHAPE, options)
    assert list((tmp_path / "cache").iterdir()) == []


def test_cache_that_cannot_be_written_is_named(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeUnavailableError, match="cannot keep the converted network in"):
        load_runner(read_card(tiny_folder), "openvino", replace(F32, cache_dir=tmp_path / "file"))


def shipped(card: ModelCard) -> ModelCard:
    """The card with a graph of two files beside the network, named there."""
    for name in GRAPH_FILES:
        (card.folder / name).write_bytes(name.encode())
    sums = {name: file_sha256(card.folder / name) for name in GRAPH_FILES}
    return card.model_copy(update={"sha256": {**card.sha256, **sums}})


def test_graph_that_came_with_the_network_saves_the_conversion(
    card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(converted, "convert", writer(calls))
    card = shipped(card)
    assert openvino_graph(card, SHAPE, F32) == card.folder / GRAPH_FILE
    assert ready(card, ExportFormat.OPENVINO, SHAPE, F32).path == card.folder / GRAPH_FILE
    assert calls == []


def test_graph_of_another_clip_shape_or_content_is_not_taken(
    card: ModelCard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(converted, "convert", writer(calls))
    card = shipped(card)
    longer = (SHAPE[0] * 2, *SHAPE[1:])
    assert openvino_graph(card, longer, F32).parent.parent == card.folder / "converted"
    (card.folder / GRAPH_FILES[1]).write_bytes(b"of another network")
    assert openvino_graph(card, SHAPE, F32).parent.parent == card.folder / "converted"
    assert "is not the file that the card names" in caplog.text
    assert calls == ["f32", "f32"]
