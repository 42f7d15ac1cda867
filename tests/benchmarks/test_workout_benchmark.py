"""The pure parts of benchmarks/workout.py, and that its config says what was measured."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from models.data.manifest import ClipRecord, Dataset, DatasetInfo
from models.training.config import load_config
from tests.support.places import REPOSITORY, SHARED

VIDEOS = SHARED / "data" / "workout"


def load_benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_workout", REPOSITORY / "benchmarks" / "workout.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


benchmark = load_benchmark()


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("text", "stems", "meant"),
    [
        ("squat_8 9 11 (3)", {"squat_8", "squat_9", "squat_11", "squat_1"}, ["squat_8", "squat_9", "squat_11"]),
        ("squat_24 (1)", {"squat_24", "squat_1"}, ["squat_24"]),
        ("push-up_2 .. push-up_5 (3 clips)", {"push-up_2", "push-up_3", "push-up_5", "push-up_6"},
         ["push-up_2", "push-up_3", "push-up_5"]),
        ("push-up_15 16 (2 clips; two men, 3 sets)", {"push-up_15", "push-up_16", "push-up_3"},
         ["push-up_15", "push-up_16"]),
        ("videoplayback (5)", {"videoplayback (5)", "videoplayback"}, ["videoplayback (5)"]),
        ("videoplayback (1; 1656 frames)", {"videoplayback"}, ["videoplayback"]),
    ],
)  # fmt: skip
def test_named_hand_written_lists_mean_files(text: str, stems: set[str], meant: list[str]) -> None:
    assert benchmark.named(text, stems) == meant


def test_named_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="squat_9"):
        benchmark.named("squat_8 9", {"squat_8"})


def test_read_sources_names_the_class_and_passes_over_absent_ones(tmp_path: Path) -> None:
    tree(tmp_path, "squats/squat_1.mp4", "squats/squat_2.mp4", "pull-ups/videoplayback.mp4")
    rows = ("# by eye", "squat,A,squat_1 .. squat_2 (2)", "pull-up,A,videoplayback", "dip,A,dips_12")
    (tmp_path / "source_groups.csv").write_text("\n".join(rows))
    assert benchmark.read_sources(tmp_path) == {
        "squats/squat_1.mp4": "squat A",
        "squats/squat_2.mp4": "squat A",
        "pull-ups/videoplayback.mp4": "pull-up A",
    }


def test_read_sources_real_list_names_every_video_once() -> None:
    if not VIDEOS.is_dir():
        pytest.skip("needs ../shared/data/workout")
    found = benchmark.read_sources(VIDEOS)
    assert set(found) == {path.relative_to(VIDEOS).as_posix() for path in VIDEOS.glob("*/*.mp4")}
    assert len(set(found.values())) == 17


def test_pool_is_what_the_heads_output_layer_sees() -> None:
    import keras

    features = np.random.default_rng(0).random((8, 7, 7, 5)).astype(np.float16)
    window = keras.layers.AveragePooling3D((2, 7, 7), (1, 1, 1), "valid", data_format="channels_last")
    seen = keras.ops.convert_to_numpy(window(features[None].astype(np.float32)))[0]  # (7, 1, 1, 5)
    np.testing.assert_allclose(benchmark.pool(features), seen.mean(axis=(0, 1, 2)), rtol=1e-5)


def workout(tmp_path: Path) -> Dataset:
    """Two squats of source A (three clips and one), a push-up of source B (one clip)."""
    videos = ("squats/1.mp4", "squats/1.mp4", "push-ups/1.mp4", "squats/1.mp4", "squats/2.mp4")
    records = tuple(
        ClipRecord(tmp_path / f"{n}.mp4", video.split("/")[0], "B" if "push" in video else "A", video=video)
        for n, video in enumerate(videos)
    )
    return Dataset(tmp_path, DatasetInfo(class2label={"push-ups": 0, "squats": 1}), records)


SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9], [0.7, 0.3]], np.float32)


def test_by_video_is_the_mean_over_its_clips_whatever_their_order(tmp_path: Path) -> None:
    videos = benchmark.by_video(SCORES, workout(tmp_path))
    assert videos.names == ("squats/1.mp4", "push-ups/1.mp4", "squats/2.mp4")
    assert videos.groups == ("A", "B", "A") and videos.targets.tolist() == [1, 0, 1]
    np.testing.assert_allclose(videos.scores, [[0.4, 0.6], [0.6, 0.4], [0.7, 0.3]], rtol=1e-6)


def test_judge_counts_videos_by_source_and_names_the_wrong_ones(tmp_path: Path) -> None:
    data = workout(tmp_path)
    found = benchmark.judge(benchmark.by_video(SCORES, data), data.labels)
    assert found["videos"] == 3 and found["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["accuracy"]["groups"] == 2 and found["accuracy"]["low"] <= 2 / 3 <= found["accuracy"]["high"]
    assert found["mean_over_sources"] == pytest.approx(3 / 4)
    assert found["sources"] == {"A": "1 of 2", "B": "1 of 1"} and found["wrong"] == {"squats/2.mp4": "push-ups"}
    assert [(row["label"], row["recall"]) for row in found["classes"]] == [("push-ups", 1), ("squats", 0.5)]


def test_resampled_rows_are_real_ones_with_a_little_noise() -> None:
    pooled = np.random.default_rng(1).random((20, 64), np.float32) + 1
    rows, classes = benchmark.resampled(pooled, list(range(20)), 5000, seed=3)
    assert rows.shape == (5000, 64) and rows.dtype == np.float32 and len(set(classes)) == 20
    assert (rows - pooled[classes]).std(axis=0) == pytest.approx(benchmark.NOISE * pooled.std(axis=0), rel=0.1)
    again, _ = benchmark.resampled(pooled, list(range(20)), 5000, seed=3)
    np.testing.assert_array_equal(rows, again)


def test_resampled_keeps_features_of_a_relu_at_zero_or_above() -> None:
    pooled = np.array([[0.0, 5.0], [0.0, 0.0]], np.float32)
    rows, _ = benchmark.resampled(pooled, [0, 1], 1000, seed=0)
    assert rows.min() == 0 and rows[:, 1].max() > 5


def test_time_row_takes_medians_without_the_first_answer() -> None:
    spent = {"knn": [99.0, 4.0, 6.0, 50.0], "head": [99.0, 1.0, 2.0, 3.0]}
    row = benchmark.time_row(100, spent, frozen_ms=14.0, memory_bytes=2_000_000)
    assert (row["knn_ms"], row["head_ms"], row["ratio"], row["knn_mb"]) == (6, 2, 3, 2)
    assert row["ratio_with_frozen_part"] == pytest.approx(20 / 16)


def test_config_says_what_the_benchmark_measured() -> None:
    config = load_config(REPOSITORY / "models" / "configs" / "workout.py")
    results = REPOSITORY / "benchmarks" / "results" / "workout.json"
    if not results.is_file():
        pytest.skip("nothing measured yet: python benchmarks/workout.py")
    measured = json.loads(results.read_text())["accuracy"]
    text = " ".join(config.description.split())
    for name in (benchmark.NETWORK, benchmark.NEIGHBOURS):
        figure = measured[name]["accuracy"]
        assert f"{name} {figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" in text
    assert measured[benchmark.NETWORK]["accuracy"]["value"] >= benchmark.GOAL
    seed = measured[benchmark.SEED_HEAD]["accuracy"]
    told = " ".join(load_config(benchmark.SEED_CONFIG).description.split())
    assert f"accuracy {seed['value']:.3f} [{seed['low']:.3f}, {seed['high']:.3f}]" in told
