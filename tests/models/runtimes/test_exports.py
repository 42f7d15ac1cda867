"""ONNX Runtime, LiteRT and SavedModel beside TensorFlow, on a small network and real pictures."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.conversion.formats import FORMATS, folder_name
from models.errors import ExportError, RuntimeUnavailableError
from models.runtimes import converted
from models.runtimes.load import load_runner
from models.runtimes.runner import Precision, RuntimeOptions
from models.weights.cards import MODEL_FILE, ModelCard, read_card
from models.weights.export_record import EXPORTS_FOLDER, RECORD_FILE, ExportFormat, ExportRecord, Parity
from pipeline.files import file_sha256
from tests.models.conftest import randomise, write_folder
from tests.models.small_network import SMALL_CLIP, SMALL_LABELS, small_folder
from tests.models.street_clips import street_clips

F32 = RuntimeOptions(precision=Precision.F32, threads=None)
needs_onnx = pytest.mark.skipif(
    find_spec("tf2onnx") is None or find_spec("onnxruntime") is None, reason="needs tf2onnx and onnxruntime"
)
needs_litert = pytest.mark.skipif(find_spec("ai_edge_litert") is None, reason="needs ai-edge-litert")


@pytest.fixture(scope="module")
def clips() -> NDArray[np.uint8]:
    return street_clips(5, SMALL_CLIP[0], SMALL_CLIP[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_folder(tmp_path_factory.mktemp("weights") / "small")


@pytest.fixture(scope="module")
def expected(folder: Path, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """TensorFlow's logits, which differ from clip to clip: float32 (5, 3)."""
    logits = load_runner(read_card(folder), "tensorflow", F32)(clips)
    assert np.ptp(logits, axis=0).max() > 0.05 * np.abs(logits).max()
    return logits


def publish(card: ModelCard, format: ExportFormat, precision: str = "f32", ratio: float = 0.5) -> Path:
    """Writes the export in this process, with a record that says it may be used by default."""
    row = FORMATS[format]
    target = card.folder / EXPORTS_FOLDER / folder_name(row, precision)
    target.mkdir(parents=True)
    __import__(row.writer, fromlist=["write"]).write(card.folder, target / row.file, card.clip_shape, precision)
    files = [path for path in sorted(target.rglob("*")) if path.is_file()]
    latency = {"latency_ms": ratio, "reference_latency_ms": 1.0}
    differences = {"max_logit_difference": 0, "mean_logit_difference": 0, "top1_agreement": 1}
    parity = Parity(clips=1, source="", runner="", reference="", host="", **latency, **differences)
    record = ExportRecord(
        format=format,
        precision=precision,
        runtime=row.runtime,
        file=row.file,
        clip_shape=card.clip_shape,
        model_sha256=file_sha256(card.folder / MODEL_FILE),
        sha256={path.relative_to(target).as_posix(): file_sha256(path) for path in files},
        size_bytes=1,
        parity=parity,
        usable_by_default=True,
    )
    (target / RECORD_FILE).write_text(record.model_dump_json(), "utf-8")
    return target


@pytest.mark.parametrize(
    ("runtime", "format", "says"),
    [
        pytest.param("onnx", ExportFormat.ONNX, "ONNX Runtime ", marks=needs_onnx),
        ("savedmodel", ExportFormat.SAVEDMODEL, "SavedModel in TensorFlow "),
    ],
)
def test_runtime_takes_the_export_and_gives_tensorflows_logits(
    runtime: str,
    format: ExportFormat,
    says: str,
    folder: Path,
    tmp_path: Path,
    clips: NDArray[np.uint8],
    expected: NDArray[np.float32],
) -> None:
    card = read_card(Path(shutil.copytree(folder, tmp_path / "small")))
    export = publish(card, format)
    runner = load_runner(card, runtime)
    assert runner.description.startswith(says)
    np.testing.assert_allclose(runner(clips), expected, atol=1e-5 * np.abs(expected).max())
    assert sorted(path.name for path in card.folder.iterdir()) == ["card.json", "exports", "labels.txt", "model.keras"]
    with pytest.raises(ValueError, match="takes clips only, got boxes too"):
        runner(clips[:1], np.zeros((1, 4), np.float32))
    first = next(path for path in sorted(export.rglob("*")) if path.is_file() and path.name != RECORD_FILE)
    first.write_bytes(b"no graph")
    with pytest.raises(ExportError, match="is damaged"):
        load_runner(card, runtime)


@pytest.mark.exhaustive
@needs_litert
def test_litert_converts_at_the_first_start_and_keeps_the_result(
    folder: Path,
    tmp_path: Path,
    clips: NDArray[np.uint8],
    expected: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = RuntimeOptions(cache_dir=tmp_path / "cache", threads=1)
    runner = load_runner(read_card(folder), "litert", options)
    assert runner.description.startswith("LiteRT ") and "f32 on CPU, 1 threads" in runner.description
    np.testing.assert_allclose(runner(clips), expected, atol=1e-5 * np.abs(expected).max())
    monkeypatch.setattr(converted, "convert", None)  # a second conversion would be an error
    again = load_runner(read_card(folder), "litert", options)
    np.testing.assert_array_equal(again(clips), runner(clips))
    kept_folders = list((tmp_path / "cache").iterdir())
    assert [path.name.startswith("small-litert-f32-") for path in kept_folders] == [True]
    (kept_folders[0] / "model.tflite").write_bytes(b"no graph")
    with pytest.raises(RuntimeUnavailableError, match=r"LiteRT cannot load .*model\.tflite"):
        load_runner(read_card(folder), "litert", options)


@needs_onnx
def test_onnx_of_a_network_that_sees_scenes_takes_boxes(tmp_path: Path, clips: NDArray[np.uint8]) -> None:
    import keras

    clip, boxes = keras.Input((*SMALL_CLIP, 3), name="clip"), keras.Input((4,), name="boxes")
    seen = keras.layers.GlobalAveragePooling3D()(keras.layers.Conv3D(4, 3, activation="relu")(clip))
    logits = keras.layers.Dense(3)(keras.layers.Concatenate()([seen, boxes]))
    model = keras.Model([clip, boxes], logits)
    randomise(model)
    card = read_card(write_folder(tmp_path / "scene", model, SMALL_LABELS, SMALL_CLIP))
    places = np.random.default_rng(0).random((len(clips), 4), np.float32)
    expected = load_runner(card, "tensorflow", F32)(clips, places)
    publish(card, ExportFormat.ONNX)
    runner = load_runner(card, "onnx")
    np.testing.assert_allclose(runner(clips, places), expected, atol=1e-5)
    people = runner(clips[:1], places)  # five people of one scene
    np.testing.assert_allclose(people, runner(np.repeat(clips[:1], len(places), 0), places), atol=1e-6)
    with pytest.raises(ValueError, match="wants boxes"):
        runner(clips)
