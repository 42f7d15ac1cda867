"""One candidate timed by a child: what it costs, and that its time is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from models.runtimes import trial
from models.runtimes.runner import Precision
from models.runtimes.timing import Task, Timing
from models.runtimes.trial import try_out
from models.weights.cards import ModelCard, read_card
from pipeline.errors import ChildError

SURE = (0.1, 2.0, 0.3)


def test_cost_counts_waiting_and_the_share_of_the_machine() -> None:
    gpu = Timing(wall_s=0.1, cpu_s=0.05, logits=SURE)
    one_core_of_four = Timing(wall_s=0.1, cpu_s=0.1, logits=SURE)
    all_of_four = Timing(wall_s=0.1, cpu_s=0.4, logits=SURE)
    assert gpu.cost_s(4) < one_core_of_four.cost_s(4) < all_of_four.cost_s(4)


def test_try_out_ends_a_child_that_takes_too_long(tmp_path: Path) -> None:
    card = absent_network(tmp_path / "m")
    task = Task(
        folder=card.folder,
        runtime="openvino",
        precision=Precision.F32,
        clip_shape=card.clip_shape,
        cache_dir=None,
        threads=None,
    )
    cut = try_out(task, timeout_s=0.05)
    assert (cut.timings, cut.problem) == ((), "not done within 0.05 s")
    assert cut.cost_s == float("inf")
    broken = try_out(task, timeout_s=60)
    assert "model.keras is missing" in broken.problem


def absent_network(folder: Path) -> ModelCard:
    """→ the card of a weights folder without its network."""
    folder.mkdir()
    (folder / "labels.txt").write_text("a\nb\nc\n", "utf-8")
    sums = {"model.keras": "0" * 64, "labels.txt": "1" * 64}
    card = ModelCard(name="m", kind="se_i3d", num_classes=3, provenance="a test", licence="none", sha256=sums)
    (folder / "card.json").write_text(card.model_dump_json(), "utf-8")
    return read_card(folder)


def test_try_out_reads_what_a_child_said_before_its_time_was_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing = Timing(wall_s=0.1, cpu_s=0.2, logits=SURE)

    def child(arguments: Sequence[str], **_: object) -> str:
        assert arguments[:2] == ["-m", "models.runtimes.measure"]
        said = ['"OpenVINO f32 on CPU"', "a library's words", timing.model_dump_json(), '{"wall_s": 0.']
        raise ChildError("\n".join(said), "", -9, timed_out=True)

    monkeypatch.setattr(trial, "run_python", child)
    task = Task(
        folder=tmp_path,
        runtime="openvino",
        precision=Precision.F32,
        clip_shape=(9, 32, 32, 3),
        cache_dir=None,
        threads=1,
    )
    found = try_out(task, 2.5)
    assert (found.description, found.timings) == ("OpenVINO f32 on CPU", (timing,))
    assert found.problem == "not done within 2.5 s"
