"""benchmarks/gpu.py on a CPU: its rows, its shares, and what it says where there is no GPU."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from benchmarks import gpu
from benchmarks.gpu_speed.compiled import compiled, device
from benchmarks.gpu_speed.measurement import Plan, Rate, matrix_tflops, people, rates
from models.networks.registry import build

SHAPE = (4, 32, 32, 3)


def small() -> Any:
    return build("shufflenet_v2_3d", 3, SHAPE, width=0.5)


def plan(batches: Sequence[int]) -> Plan:
    return Plan(small, SHAPE, gmacs=0.01, batches=tuple(batches), repeats=1, matrix=64)


def test_live_people_get_a_clip_every_16_crops() -> None:
    assert people(25 / 16) == pytest.approx(1.0)


def test_every_batch_size_is_a_row_with_its_share_of_the_matrix_rate() -> None:
    rows = list(rates(plan([1, 2]), "f32", "graph", tflops=0.5))
    assert [(row.batch, row.problem) for row in rows] == [(1, ""), (2, "")]
    for row in rows:
        assert row.clips_per_s > 0
        assert row.matrix_share == pytest.approx(2 * 0.01e9 * row.clips_per_s / 0.5e12)
        assert row.people == pytest.approx(row.clips_per_s * 0.64)
    assert keras.config.dtype_policy().name == "float32"  # what was set for building is set back


def test_batch_that_fails_ends_its_series_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> float:
        raise RuntimeError("out of memory\nand a long trace")

    monkeypatch.setattr("benchmarks.gpu_speed.measurement.per_call_s", full)
    assert list(rates(plan([1, 2]), "f32", "graph", 1.0)) == [Rate("f32", "graph", 1, problem="out of memory")]


def test_mode_of_another_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="mode of tensorflow must be one of graph, xla; got 'inductor'"):
        compiled(small, "f32", "inductor")


def test_matrix_rate_is_positive_in_both_formats() -> None:
    assert matrix_tflops("f32", 64, 1) > 0
    assert matrix_tflops("bf16", 64, 1) > 0


def test_without_a_gpu_it_says_so_and_measures_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if device().gpu:
        pytest.skip("there is a GPU here")
    assert gpu.main(["--output", str(tmp_path / "gpu.json")]) == 2
    assert "sees no GPU here; --allow-cpu" in capsys.readouterr().out
    assert not (tmp_path / "gpu.json").exists()


def test_backends_stand_side_by_side_in_the_file(tmp_path: Path) -> None:
    gpu.keep(tmp_path / "gpu.json", "jax", {"rows": []})
    gpu.keep(tmp_path / "gpu.json", "torch", {"rows": [1]})
    assert json.loads((tmp_path / "gpu.json").read_text("utf-8")) == {"jax": {"rows": []}, "torch": {"rows": [1]}}
