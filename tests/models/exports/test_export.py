"""Exporting from end to end on a small network, and what becomes of exports that are not close enough."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from models.classifier import ActionClassifier
from models.conversion.tensorrt import recipe
from models.errors import CardError, ExportError
from models.exports import export as export_module
from models.exports.export import ExportJob, describe, export
from models.exports.parity_clips import ParityClip, ParityClips
from models.runtimes.load import load_runner
from models.runtimes.runner import Clips, Floats, Runner
from models.weights.cards import MODEL_FILE, read_card
from models.weights.export_record import RECORD_FILE, ExportFormat, ExportRecord, read_export, read_exports
from pipeline.files import file_sha256
from tests.models.small_network import SMALL_CLIP, small_folder
from tests.models.street_clips import street_clips
from tests.support.places import REPOSITORY

needs_litert = pytest.mark.skipif(find_spec("ai_edge_litert") is None, reason="needs ai-edge-litert")
needs_coreml = pytest.mark.skipif(find_spec("coremltools") is None, reason="needs coremltools")


@pytest.fixture(scope="module")
def clips() -> ParityClips:
    """Eight of the street; every second one is labelled."""
    pixels = street_clips(8, SMALL_CLIP[0], SMALL_CLIP[1])
    clips = [ParityClip(clip, target=None if n % 2 else n % 3) for n, clip in enumerate(pixels)]
    return ParityClips("the street", tuple(lambda clip=clip: clip for clip in clips))  # type: ignore[misc]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_folder(tmp_path / "small")


@needs_litert
def test_export_converts_measures_and_is_what_the_runtime_then_loads(folder: Path, clips: ParityClips) -> None:
    card, said, seen = read_card(folder), list[str](), list[tuple[int, int]]()
    job = ExportJob(card, ExportFormat.LITERT, clips, precision="int8")
    record = export(job, said.append, lambda *at: seen.append(at))
    assert record.folder == folder / "exports" / "litert-int8"
    assert read_export(record.folder) == record and read_exports(card) == [record]
    record.verify()
    assert set(record.sha256) == {"model.tflite"}
    assert record.model_sha256 == file_sha256(folder / MODEL_FILE)
    assert record.size_bytes == (record.folder / "model.tflite").stat().st_size
    assert seen[-1] == (8, 8) and said[0] == "converting small to litert int8"

    parity = record.parity
    assert parity is not None
    assert 0 < parity.max_logit_difference < 0.1
    assert parity.top1_agreement >= 0.99 and record.usable_by_default is True
    assert parity.clips == 8 and parity.source == "the street"
    assert parity.accuracy is not None and parity.accuracy == parity.reference_accuracy
    rows = dict(describe(record))
    assert rows["same first choice"] == "100.00%" and "of the reference" in rows["latency"]

    classifier = ActionClassifier.load(folder, "litert")
    assert " int8 on CPU" in classifier.runtime
    assert [path.name for path in (folder / "exports").iterdir()] == ["litert-int8"]  # nothing half done is left


class Contrary:
    """Never gives the network's first choice."""

    preferred_batch = 1

    def __init__(self, record: ExportRecord, network: Runner) -> None:
        self.description, self._network = f"contrary {record.path.name}", network

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        return -self._network(clips, boxes)


def written(_row: object, _precision: str, _card: object, _shape: object, target: Path) -> None:
    target.write_bytes(b"files of a converter")


def test_export_that_disagrees_is_kept_but_never_a_default(
    folder: Path, clips: ParityClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "convert", written)
    network = load_runner(read_card(folder), "tensorflow")
    monkeypatch.setattr(export_module, "open_export", lambda record, *_: Contrary(record, network))
    job = ExportJob(read_card(folder), ExportFormat.ONNX, clips, output=tmp_path / "elsewhere")
    record = export(job, lambda _text: None)
    assert record.parity is not None and record.parity.top1_agreement == 0
    assert record.usable_by_default is False
    assert record.folder == tmp_path / "elsewhere" / "onnx"
    assert json.loads((record.folder / RECORD_FILE).read_text())["usable_by_default"] is False
    again = export(job, lambda _text: None)  # replaces it
    assert again.folder == record.folder and len(list((tmp_path / "elsewhere").iterdir())) == 1


@pytest.mark.exhaustive
def test_export_that_fails_leaves_the_earlier_one_alone(
    folder: Path, clips: ParityClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = folder / "exports" / "onnx"
    earlier.mkdir(parents=True)
    (earlier / "model.onnx").write_bytes(b"earlier")
    (folder / MODEL_FILE).write_bytes(b"PK no archive")
    with pytest.raises(
        ExportError, match=r"small cannot be exported to onnx: CardError: .*model\.keras cannot be loaded"
    ):
        export(ExportJob(read_card(folder), ExportFormat.ONNX, clips), lambda _text: None)
    (folder / MODEL_FILE).unlink()
    with pytest.raises(CardError, match=r"model\.keras is missing"):
        export(ExportJob(read_card(folder), ExportFormat.ONNX, clips), lambda _text: None)
    assert [path.name for path in (folder / "exports").iterdir()] == ["onnx"]
    assert (earlier / "model.onnx").read_bytes() == b"earlier"


def test_export_refuses_what_a_format_cannot_be(folder: Path, clips: ParityClips) -> None:
    with pytest.raises(ExportError, match="onnx comes in f32; got 'f16'"):
        export(ExportJob(read_card(folder), ExportFormat.ONNX, clips, precision="f16"), lambda _text: None)
    with pytest.raises(ExportError, match="openvino-int8 is calibrated on clips: none were given"):
        export(ExportJob(read_card(folder), ExportFormat.OPENVINO_INT8, clips), lambda _text: None)


def test_export_for_a_machine_that_is_not_here_says_so(
    folder: Path, clips: ParityClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "convert", written)
    said: list[str] = []
    record = export(ExportJob(read_card(folder), ExportFormat.COREML, clips), said.append)
    assert record.parity is None and record.usable_by_default is False and record.runtime == ""
    assert record.precision == "f16" and record.folder.name == "coreml-f16"
    assert said[-1] == "parity cannot be measured: nothing on this machine runs coreml"
    assert any("parity not measured" in note for note in record.notes)


_COREML = """
import json, sys
from pathlib import Path
from models.conversion import coreml as export_coreml
folder, target = map(Path, sys.argv[1:])
export_coreml.write(folder, target, (9, 32, 32, 3), "f32")
tools = export_coreml._coremltools()
specification = tools.utils.load_spec(str(target))
program = specification.mlProgram.functions["main"]
operations = [operation for block in program.block_specializations.values() for operation in block.operations]
ranks = [len(o.outputs[0].type.tensorType.dimensions) for o in operations if o.type == "conv"]
names = [specification.description.input[0].name, specification.description.output[0].name]
print(json.dumps([ranks, names, sorted({o.type for o in operations})]))
"""


@pytest.mark.exhaustive
@needs_coreml
def test_coreml_package_keeps_convolutions_in_three_dimensions(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _COREML, str(folder), str(tmp_path / "model.mlpackage")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    ranks, names, operations = json.loads(result.stdout.strip().splitlines()[-1])
    assert ranks == [5, 5]  # (N, C, T, H, W)
    assert names == ["clips", "logits"]
    assert {"max_pool", "avg_pool"} <= set(operations)


def test_tensorrt_recipe_names_the_clips_of_the_network() -> None:
    script = recipe((64, 224, 224, 3))
    assert script.startswith("#!/bin/sh\n")
    assert "--minShapes=clips:1x64x224x224x3 --optShapes=clips:8x64x224x224x3" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
