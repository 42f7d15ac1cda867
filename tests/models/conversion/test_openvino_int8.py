from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from models.conversion import openvino_int8
from models.conversion.openvino_int8 import FEWEST_CLIPS, heaviest_layers, quantize
from models.errors import ExportError
from models.runtimes.converted import openvino_graph
from models.runtimes.load import load_runner
from models.runtimes.runner import RuntimeOptions
from models.weights.cards import MODEL_FILE, ModelCard, read_card
from models.weights.export_record import EXPORTS_FOLDER, RECORD_FILE, ExportFormat, ExportRecord
from pipeline.errors import ChildError
from pipeline.files import file_sha256
from tests.models.clips import read_video
from tests.support.places import STREET

needs_nncf = pytest.mark.skipif(find_spec("nncf") is None, reason="nncf is not installed: pip install nncf")


@pytest.fixture(scope="module")
def clips() -> NDArray[np.uint8]:
    """uint8 (12, 16, 64, 64, 3): the street of the sample, quarters of it at different times."""
    street, _ = read_video(STREET, 128)
    quarters = [street[:, y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64)]
    return np.stack([quarters[n % 4][16 * (n // 4) :][:16] for n in range(12)])


@pytest.mark.exhaustive
@needs_nncf
def test_quantize_gives_an_int8_graph_that_answers_as_the_network_does(
    tiny_folder: Path, tmp_path: Path, clips: NDArray[np.uint8]
) -> None:
    card = read_card(tiny_folder)
    seen: list[tuple[int, int]] = []
    graph = tmp_path / EXPORTS_FOLDER / "openvino-int8-int8" / "model.xml"
    quantize(card, clips[:FEWEST_CLIPS], graph, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (FEWEST_CLIPS, FEWEST_CLIPS)
    assert sorted(path.name for path in graph.parent.iterdir()) == ["model.bin", "model.xml"]

    heaviest = heaviest_layers(ov.Core().read_model(openvino_graph(card, card.clip_shape, RuntimeOptions())))
    rounded = rounded_by(graph)
    assert len(rounded) >= 8
    assert set(rounded) <= set(heaviest)  # gates and logits keep their range
    f32 = load_runner(card, "openvino:f32")
    expected = f32(clips)
    runner = load_runner(published(card, graph), "openvino:int8")
    assert "int8" in runner.description
    got = runner(clips)
    assert not np.array_equal(got, expected)
    assert np.abs(got - expected).mean() < 0.05 * np.abs(expected).max()  # random weights: outliers are far off
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.98


def rounded_by(graph: Path) -> list[str]:
    """Who reads each array that is rounded to 8 bits, by name; weights are stored so and not counted."""
    rounders = [op for op in ov.Core().read_model(graph).get_ordered_ops() if op.get_type_name() == "FakeQuantize"]
    readers = [reader.get_node() for op in rounders for reader in op.output(0).get_target_inputs()]
    return [reader.get_friendly_name() for reader in readers]


def published(card: ModelCard, graph: Path) -> ModelCard:
    """→ the card of a folder that has the graph as its export."""
    files = {path.name: file_sha256(path) for path in graph.parent.iterdir()}
    record = ExportRecord(
        format=ExportFormat.OPENVINO_INT8,
        precision="int8",
        runtime="openvino",
        file=graph.name,
        clip_shape=card.clip_shape,
        model_sha256=card.sha256[MODEL_FILE],
        sha256=files,
        size_bytes=sum(path.stat().st_size for path in graph.parent.iterdir()),
    )
    (graph.parent / RECORD_FILE).write_text(record.model_dump_json(), "utf-8")
    return card.model_copy(update={"folder": graph.parents[2]})


def test_quantize_wants_real_clips_and_enough_of_them(
    tiny_folder: Path, tmp_path: Path, clips: NDArray[np.uint8]
) -> None:
    card = read_card(tiny_folder)
    wrongs: tuple[Any, ...] = (clips[: FEWEST_CLIPS - 1], clips.astype(np.float32), clips[0])
    for wrong in wrongs:
        with pytest.raises(ExportError, match=f"at least {FEWEST_CLIPS} clips, uint8"):
            quantize(card, wrong, tmp_path / "model.xml")
    assert list(tmp_path.iterdir()) == []


def test_quantize_that_fails_tells_the_childs_words_and_leaves_nothing(
    tiny_folder: Path, tmp_path: Path, clips: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def child(_arguments: Sequence[str], *, timeout_s: float, on_line: Callable[[str], None]) -> str:
        on_line("1 of 12")
        raise ChildError("", "statistics\nRuntimeError: no such layer\n", 1)

    monkeypatch.setattr(openvino_int8, "run_python", child)
    monkeypatch.setattr(openvino_int8, "convert", lambda *_: None)
    seen: list[tuple[int, int]] = []
    with pytest.raises(ExportError, match=r"^tiny cannot be quantised: RuntimeError: no such layer$"):
        quantize(read_card(tiny_folder), clips, tmp_path / "model.xml", lambda *at: seen.append(at))
    assert seen == [(1, 12)]
    assert list(tmp_path.iterdir()) == []
