"""The parts of benchmarks/classifier.py that judge: which rows there are, what is compared with what, what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import classifier
from benchmarks.comparison.clips import fitted, read_clips
from benchmarks.comparison.group import Options, measure
from benchmarks.comparison.rows import PEERS, Key, Measured, chosen_networks, rows_of
from benchmarks.comparison.table import cells, markdown, plain
from benchmarks.comparison.worker import Job
from models.networks.registry import NETWORKS
from tests.support.places import STREET

PEER = next(iter(PEERS))


def test_rows_begin_with_the_reference_whatever_runtimes_are_asked_for() -> None:
    assert [key.runtime for key in rows_of("slowfast", ["onnx"])] == ["tensorflow", "onnx"]
    assert rows_of("slowfast")[0].is_reference and len(rows_of("slowfast")) > 5
    assert [key.precision for key in rows_of("slowfast", ["openvino"], ["int8"])] == ["f32", "int8"]


def test_networks_are_all_of_the_registry_unless_named() -> None:
    assert chosen_networks([]) == list(NETWORKS)
    with pytest.raises(SystemExit, match="i4d"):
        chosen_networks(["i4d"])


def test_clip_is_cut_to_the_networks_length_and_size(tmp_path: Path) -> None:
    (clip,) = read_clips(tmp_path, STREET).values()
    assert fitted(clip, clip.shape) is not None and np.array_equal(fitted(clip, clip.shape), clip)
    small = fitted(clip, (16, 112, 112, 3))
    assert small.shape == (16, 112, 112, 3)
    assert abs(float(small[-1].mean()) - float(clip[-1].mean())) < 2  # the last picture stays the last


@pytest.mark.exhaustive
@pytest.mark.slow
def test_measured_rows_compare_with_anchor_and_own_reference(tiny_folder: Path, tmp_path: Path) -> None:
    keys = [Key("se_i3d", "tensorflow", "f32"), Key("se_i3d", "openvino", "f32"), Key("se_i3d", "nothing", "f32")]
    rows = {key: Job(tiny_folder, key.runtime, key.precision, tmp_path) for key in keys}
    clips = read_clips(tmp_path, STREET)
    found = measure(rows, dict.fromkeys(keys, (16, 64, 64, 3)), clips, Options(rounds=1))
    reference, other, broken = (found[key] for key in keys)
    assert (reference.anchor_ratio, reference.own_ratio, reference.largest_logit_difference) == (1.0, 1.0, 0.0)
    assert other.largest_logit_difference is not None and 0 < other.largest_logit_difference < 1e-3
    assert other.top1_agreement == 1.0 and other.cpu_s > 0 and other.peak_rss_mb > 50
    assert "nothing" in broken.problem and broken.clips_per_s == 0
    assert "none: " in cells(broken)[5] and "openvino f32" in markdown([other]) and "street" in other.labels
    assert plain([reference, broken]).count("\n") == 2


def test_rows_measured_before_stay_in_the_file(tmp_path: Path) -> None:
    output = tmp_path / "classifier.json"
    classifier.keep(output, [Measured(PEER, "torch", "f32", cpu_s=1.0)], 1)
    classifier.keep(output, [Measured("slowfast", "tensorflow", "f32", cpu_s=2.0, clip=(32, 224, 224, 3))], 1)
    kept = classifier.keep(output, [Measured("slowfast", "tensorflow", "f32", cpu_s=3.0)], 1)
    assert [(row.network, row.cpu_s) for row in kept] == [("slowfast", 3.0), (PEER, 1.0)]
    assert json.loads(output.read_text("utf-8"))["machine"]["cores"]
