"""``actoscope export``: what is printed, written and returned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import models.exports.export as export_module
from models.conversion.convert import convert as convert_in_a_child
from models.conversion.formats import FORMATS
from models.data.clip_file import write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, write_dataset
from models.runtimes.load import load_runner
from models.runtimes.runner import Clips, Floats
from models.weights.cards import ModelInput
from models.weights.export_record import ExportFormat, ExportRecord, read_export
from service.cli import main
from service.commands.exit_status import EXIT_FAILED, EXIT_NOT_CLOSE
from tests.models.small_network import SMALL_CLIP, SMALL_LABELS, small_folder
from tests.models.street_clips import street_clips
from tests.support.small_disk import fill, small_disk


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small network in the weights directory; its SavedModel is written in this process, not in one of its own."""
    monkeypatch.setenv("ACTOSCOPE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ACTOSCOPE_WEIGHTS_DIR", str(tmp_path / "weights"))

    def convert(row: Any, precision: str, card: Any, shape: Any, target: Path) -> None:
        from models.conversion import savedmodel as export_savedmodel

        assert row == FORMATS[ExportFormat.SAVEDMODEL]
        export_savedmodel.write(card.folder, target, shape, precision)

    monkeypatch.setattr(export_module, "convert", convert)
    return small_folder(tmp_path / "weights" / "small")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    records = []
    for number, clip in enumerate(street_clips(4, SMALL_CLIP[0], SMALL_CLIP[1])):
        path = folder / "clips" / f"{number}.mp4"
        write_clip(path, clip, 25.0)
        records.append(ClipRecord(path, SMALL_LABELS[number % 3], f"g{number}", Split.VAL))
    frames, height, width = SMALL_CLIP
    form = ModelInput(frames=frames, height=height, width=width)
    write_dataset(Dataset(folder, DatasetInfo(class2label=class2label(SMALL_LABELS), input=form), tuple(records)))
    return folder


def test_export_prints_the_parity_and_where_the_files_are(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["export", "small", "--format", "savedmodel", "--data", str(data), "--clips", "3", "--quiet"]
    assert main(asked) == 0
    told = capsys.readouterr().out
    record = read_export(model / "exports" / "savedmodel")
    assert record.parity is not None and record.parity.clips == 3 and record.usable_by_default
    assert record.parity.max_logit_difference < 1e-5
    for line in (
        "compared on               3 clips: dataset, split val",
        "same first choice         100.00%",
        "accuracy",
    ):
        assert line in told
    assert str(record.folder) in told
    assert told.endswith("may be used by default\n")


def test_export_that_disagrees_says_so_and_fails(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Contrary:
        description, preferred_batch = "contrary", 1

        def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
            return -network(clips, boxes)

    def opened(record: ExportRecord, *_: Any) -> Contrary:
        assert (record.path / "saved_model.pb").is_file()
        return Contrary()

    from models.weights.cards import read_card

    network = load_runner(read_card(model), "tensorflow")
    monkeypatch.setattr(export_module, "open_export", opened)
    asked = ["export", str(model), "--format", "savedmodel", "--data", str(data), "--output", str(tmp_path / "out")]
    assert main([*asked, "--quiet"]) == EXIT_NOT_CLOSE
    told = capsys.readouterr().out
    assert "NOT USED BY DEFAULT: fewer than 99% of the first choices are the network's" in told
    record = read_export(tmp_path / "out" / "savedmodel")
    assert record.usable_by_default is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small", "--format", "onnx", "--precision", "int8"], "onnx comes in f32; got 'int8'"),
        (["small", "--format", "onnx", "--video", "nothing.mp4"], "there is no video nothing.mp4: give --data or"),
        (["small", "--format", "onnx", "--data", "nowhere"], "nowhere is no data set"),
        (["nothing", "--format", "onnx"], "nothing is no weights folder"),
    ],
)
def test_export_that_cannot_begin_says_why(
    arguments: list[str], message: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--format", "tflite"], ["--format", "onnx", "--clips", "0"], []])
def test_export_used_wrongly_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["export", "small", *arguments])
    assert stop.value.code == 2


@pytest.mark.exhaustive
def test_export_on_a_full_disk_says_so_and_leaves_nothing(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_module, "convert", convert_in_a_child)
    with small_disk(tmp_path / "disk", 1_000) as disk:
        fill(disk)
        asked = ["export", "small", "--format", "onnx", "--data", str(data), "--clips", "3", "--quiet"]
        assert main([*asked, "--output", str(disk)]) == EXIT_FAILED
        assert "No space left on device" in capsys.readouterr().err
        assert [path.name for path in disk.iterdir()] == ["everything-else"]
