"""The graph that goes beside a network: written, held to the network, named on the card, and taken by the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ExportError
from models.exports import ship as ship_module
from models.exports.export import ExportJob
from models.exports.parity import measure
from models.exports.parity_clips import ParityClip, ParityClips
from models.exports.ship import ship
from models.runtimes import converted
from models.runtimes.load import load_runner
from models.weights.cards import CARD_FILE, read_card, verify
from models.weights.export_record import ExportFormat, Parity
from models.weights.shipped_graph import GRAPH_FILE, GRAPH_FILES, GRAPH_WEIGHTS_FILE, shipped_graph
from models.weights.start import read_start
from tests.models.small_network import SMALL_CLIP, small_folder
from tests.models.street_clips import street_clips


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_folder(tmp_path / "small")


@pytest.fixture(scope="module")
def clips() -> ParityClips:
    pixels = street_clips(4, SMALL_CLIP[0], SMALL_CLIP[1])
    return ParityClips("the street", tuple(lambda clip=clip: ParityClip(clip) for clip in pixels))  # type: ignore[misc]


def job(folder: Path, clips: ParityClips, format: ExportFormat = ExportFormat.OPENVINO) -> ExportJob:
    return ExportJob(read_card(folder), format, clips)


@pytest.mark.exhaustive
def test_shipped_graph_is_what_auto_loads_without_converting_or_measuring(
    folder: Path, clips: ParityClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, parity = ship(job(folder, clips), lambda line: None)
    assert parity.passes and parity.clips == 4
    assert read_card(folder) == card and card.runtime == "openvino"
    assert set(GRAPH_FILES) <= set(card.sha256)
    verify(card)
    assert shipped_graph(card, card.clip_shape) == folder / GRAPH_FILE
    numbers = sum(weight.size for weight in read_start(folder).weights.values())
    assert numbers < (folder / GRAPH_WEIGHTS_FILE).stat().st_size < 3 * numbers  # bytes: half precision, statistics too

    def convert(*_arguments: object) -> None:
        raise AssertionError("a conversion although the graph is there")

    monkeypatch.setattr(converted, "convert", convert)
    runner = load_runner(card)
    assert "OpenVINO" in runner.description
    assert not (folder / "converted").exists()


@pytest.mark.exhaustive
def test_graph_that_is_not_close_is_not_kept(folder: Path, clips: ParityClips, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / CARD_FILE).read_bytes()

    def worse(*arguments: object) -> Parity:
        return measure(*arguments).model_copy(update={"top1_agreement": 0.75})  # type: ignore[arg-type]

    monkeypatch.setattr(ship_module, "measure", worse)
    with pytest.raises(ExportError, match=r"only 75\.00% of the first choices are small's: nothing is kept"):
        ship(job(folder, clips), lambda line: None)
    assert (folder / CARD_FILE).read_bytes() == before
    assert not any((folder / name).exists() for name in GRAPH_FILES)
    assert not list(folder.glob(".ship-*"))


def test_other_formats_are_not_shipped(folder: Path, clips: ParityClips) -> None:
    with pytest.raises(ExportError, match="only openvino is shipped beside a network, not litert"):
        ship(job(folder, clips, ExportFormat.LITERT), lambda line: None)
