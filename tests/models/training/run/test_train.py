"""Whole trainings on a tiny data set: what they learn, what they write, and what a kill changes (nothing)."""

from __future__ import annotations

import csv
import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.data.batches.input_pipeline import read_input
from models.data.manifest import Dataset, Split, read_dataset
from models.errors import TrainingError
from models.training.config import CardText, NetworkConfig, TransferConfig, Unfreeze
from models.training.data import input_config
from models.training.run.loop import TrainingHalted
from models.training.run.scores import scores
from models.training.run.train import Keeper, Teller, train
from models.weights.cards import MODEL_FILE, read_card, verify
from tests.models.training_runs import LABELS, configs, make_dataset, places, quiet, tiny
from tests.support.places import REPOSITORY
from tests.support.small_disk import fill, small_disk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training")
    make_dataset(root / "data")
    return root


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return read_dataset(folder / "data")


@pytest.fixture(scope="module")
def trained(folder: Path, dataset: Dataset) -> dict[str, float]:
    """The tiny training, once, uninterrupted: its metrics. Its files lie under the name ``straight``."""
    config = replace(configs()["cached"], card=CardText(licence="none", limits="noise only"))
    return train(config, dataset, places(folder, "straight"), quiet(), command="actoscope train tiny.py")


def curve(folder: Path, name: str, job: str = "final") -> list[dict[str, float]]:
    with (places(folder, name).run / job / "log.csv").open() as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def run_child(folder: Path, *arguments: str, backend: str = "tensorflow") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # compiling takes longer than so few steps of slower programs
    command = [sys.executable, "-m", "tests.models.training_runs", str(folder), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_train_writes_a_weights_folder_that_scores_as_the_training_said(
    folder: Path, dataset: Dataset, trained: dict[str, float]
) -> None:
    """The whole network in half precision, on clips: as good as the trained part was on cached features."""
    card = read_card(places(folder, "straight").output)
    verify(card)
    assert card.labels == LABELS
    assert (card.kind, card.clip_shape, card.seed) == ("se_i3d", (16, 32, 32, 3), 7)
    assert (card.data, card.licence, card.command) == ("noise", "none", "actoscope train tiny.py")
    assert card.metrics == pytest.approx(trained)
    assert val_loss(card.folder, dataset) == pytest.approx(trained["val_loss"], rel=0.02)


def val_loss(folder: Path, dataset: Dataset) -> float:
    """→ of the network in ``folder``, on clips."""
    model = keras.saving.load_model(folder / MODEL_FILE, compile=False)
    records = dataset.of(Split.VAL)
    plain = input_config(tiny(), len(LABELS))
    clips = np.stack([read_input(record, plain) for record in records]).astype(np.float32) / 127.5 - 1
    return scores(keras.ops.convert_to_numpy(model(clips, training=False)), dataset.targets(records))["loss"]


def test_network_of_several_depths_scores_as_its_training_on_cached_features_said(
    folder: Path, dataset: Dataset
) -> None:
    """Two of its depths lie in the frozen part and pass the cut by."""
    network = NetworkConfig(init="", depths=("Mixed_4c", "Mixed_4f", "Mixed_5c"))
    config = replace(tiny(), network=network, epochs=3)
    metrics = train(config, dataset, places(folder, "depths"), quiet())
    assert val_loss(places(folder, "depths").output, dataset) == pytest.approx(metrics["val_loss"], rel=0.02)


@pytest.mark.exhaustive
def test_train_learns_bright_from_dark(folder: Path, dataset: Dataset) -> None:
    metrics = train(configs()["learns"], dataset, places(folder, "learns"), quiet())
    rows = curve(folder, "learns")
    assert metrics["val_accuracy"] == 1.0
    assert metrics["val_loss"] == pytest.approx(min(row["val_loss"] for row in rows), rel=1e-4)
    assert metrics["val_loss"] < 0.6 < rows[0]["val_loss"]


def test_train_leaves_logs_and_curves(folder: Path, trained: dict[str, float]) -> None:
    rows = curve(folder, "straight")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["learning_rate"] == pytest.approx(0, abs=1e-6)
    job = places(folder, "straight").run / "final"
    assert (job / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(job / "tensorboard")).Reload()
    losses = {event.step: event.value for event in events.Scalars("val_loss")}
    assert losses == pytest.approx({int(row["epoch"]): row["val_loss"] for row in rows}, rel=1e-4)


@pytest.mark.exhaustive
def test_training_killed_in_an_epoch_and_resumed_gives_the_same_curve(
    folder: Path, dataset: Dataset, trained: dict[str, float]
) -> None:
    """SIGKILL in the middle of epoch 4: layers were unfrozen for epoch 3, whose optimiser has state by then."""
    killed = run_child(folder, "cached", "--kill-in-epoch", "4")
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert len(curve(folder, "cached")) == 3
    with pytest.raises(TrainingError, match="holds a training already"):
        train(configs()["cached"], dataset, places(folder, "cached"), quiet())
    metrics = train(configs()["cached"], dataset, places(folder, "cached"), quiet(), resume=True)
    assert metrics == pytest.approx(trained, rel=1e-3)
    for resumed, straight in zip(curve(folder, "cached"), curve(folder, "straight"), strict=True):
        assert resumed == pytest.approx(straight, rel=1e-3, abs=1e-6)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("epoch", "batch", "halted"), [(1, 2, "0 epochs and 2"), (3, 2, "2 epochs and 2"), (2, 3, "2 epochs and 0")]
)
def test_training_halted_in_an_epoch_and_resumed_gives_the_same_curve(
    epoch: int,
    batch: int,
    halted: str,
    folder: Path,
    dataset: Dataset,
    trained: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the first epoch, in the one for which layers thawed, and in the last batch of one: order, mixup and dropout go
    on as they were.
    """
    asked: list[bool] = []
    name = f"halted-{epoch}"

    def step(what: str, done: int, total: int) -> None:
        if what.startswith(f"epoch {epoch} ") and done == batch:
            asked.append(True)

    with monkeypatch.context() as patch:
        patch.setattr("models.training.run.train.Keeper", lambda: Keeper(halts=lambda: bool(asked)))
        with pytest.raises(TrainingHalted, match=f"halted after {halted} batches"):
            train(configs()["cached"], dataset, places(folder, name), Teller(step, lambda line: None))
    metrics = train(configs()["cached"], dataset, places(folder, name), quiet(), resume=True)
    assert metrics == pytest.approx(trained, rel=1e-3)
    for resumed, straight in zip(curve(folder, name), curve(folder, "straight"), strict=True):
        assert resumed == pytest.approx(straight, rel=1e-3, abs=1e-6)


def test_training_resumed_with_another_configuration_is_refused(
    folder: Path, dataset: Dataset, trained: dict[str, float]
) -> None:
    other = replace(configs()["cached"], epochs=9)
    with pytest.raises(TrainingError, match="another configuration"):
        train(other, dataset, places(folder, "straight"), quiet(), resume=True)


@pytest.mark.parametrize(
    "name", ["flow", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("fuse", "fuse-clips", "half"))]
)
def test_train_in_every_mode_writes_a_network_of_that_mode(name: str, folder: Path, dataset: Dataset) -> None:
    config = configs()[name]
    metrics = train(config, dataset, places(folder, name), quiet())
    assert np.isfinite(metrics["val_loss"])
    card = read_card(places(folder, name).output)
    assert card.kind == {"rgb": "se_i3d", "flow": "se_i3d_flow", "fuse": "se_i3d_fuse"}[config.mode.value]
    model = keras.saving.load_model(card.folder / MODEL_FILE, compile=False)
    clips: dict[str, Any] = {
        stream.value: np.zeros((1, 16, 32, 32, 2 if stream.value == "flow" else 3), np.float32)
        for stream in config.mode.streams
    }
    logits = model(clips if len(clips) > 1 else next(iter(clips.values())), training=False)
    assert tuple(logits.shape) == (1, 2)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


def test_fused_network_adds_the_logits_of_its_streams(folder: Path, dataset: Dataset) -> None:
    from models.training.kinds.i3d import build_stream
    from models.training.run.networks import join_streams

    config = configs()["fuse"]
    streams = {mode: build_stream(config.network, mode, LABELS, 32, None) for mode in config.mode.streams}
    rng = np.random.default_rng(1)
    clips = {mode.value: rng.normal(size=(2, *_shape(model))).astype(np.float32) for mode, model in streams.items()}
    both = keras.ops.convert_to_numpy(join_streams(streams)(clips, training=False))
    each = [keras.ops.convert_to_numpy(model(clips[mode.value], training=False)) for mode, model in streams.items()]
    assert min(np.ptp(logits) for logits in each) > 0
    np.testing.assert_allclose(both, each[0] + each[1], rtol=1e-4, atol=1e-5)


def _shape(model: Any) -> tuple[int, ...]:
    return (16, *model.input_shape[2:])


def test_cross_validation_holds_out_every_clip_once_by_group(folder: Path, dataset: Dataset) -> None:
    config = replace(tiny(), folds=2, refit_on="train+val", epochs=1, transfer=TransferConfig(draws=2))
    metrics = train(config, dataset, places(folder, "folds"), quiet())
    assert set(metrics) == {"cv_loss", "cv_accuracy", "cv_macro_f1"}
    with (places(folder, "folds").run / "cv_predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["path"] for row in rows) == sorted(
        record.path.relative_to(dataset.folder).as_posix() for record in dataset.records
    )
    assert len({(row["group"], row["fold"]) for row in rows}) == len({row["group"] for row in rows})
    assert {row["fold"] for row in rows} == {"1", "2"}
    right = np.mean([(float(row["dark"]) < float(row["bright"])) == (row["label"] == "bright") for row in rows])
    assert metrics["cv_accuracy"] == pytest.approx(right)
    assert "val_loss" not in curve(folder, "folds")[0]  # the refit has nothing left to measure on


@pytest.mark.exhaustive
def test_early_stopping_keeps_the_best_epoch(folder: Path, dataset: Dataset) -> None:
    """A rate of almost 0 never improves on the first epoch: stopped after ``patience`` more."""
    still = replace(tiny().optimizer, learning_rate=1e-12, weight_decay=0.0)
    config = replace(tiny(), optimizer=still, epochs=9, patience=2, monitor="val_accuracy", weight_average=0.0)
    train(replace(config, transfer=TransferConfig(draws=1)), dataset, places(folder, "early"), quiet())
    assert len(curve(folder, "early")) == 3


def test_train_lists_everything_that_is_wrong_before_any_work(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", clips=6)
    broken = dataset.records[1].path
    broken.write_bytes(b"no video")
    records = tuple(record for record in dataset.records if record.label == "dark" or record.path == broken)
    records = tuple(replace(record, split=Split.NONE) if record.split is Split.VAL else record for record in records)
    records = tuple(replace(record, label="dark") if record.path == broken else record for record in records)
    stages = TransferConfig(unfreeze=(Unfreeze(0, "Mixed_4f"),))
    config = replace(
        tiny(),
        monitor="luck",
        transfer=stages,
        network=replace(tiny().network, init="nothing-there"),
    )
    with pytest.raises(TrainingError) as caught:
        train(config, replace(dataset, records=records), places(tmp_path, "wrong"), quiet())
    text = str(caught.value)
    for problem in (
        "monitor must be one of",
        "no clip in the split val",
        "classes without a clip in the split train: bright",
        "Mixed_4f lies in the part whose features are cached",
        "no weights to start from",
        f"{broken} cannot be decoded",
    ):
        assert problem in text
    assert not places(tmp_path, "wrong").run.exists()


@pytest.mark.timeout(600)  # jax compiles for a minute and a half of one core
@pytest.mark.parametrize("backend", [pytest.param(name, marks=pytest.mark.exhaustive) for name in ("jax", "torch")])
def test_train_on_another_backend(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    make_dataset(tmp_path / "data")
    done = run_child(tmp_path, "backend-cached", "backend-clips", backend=backend)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("backend-cached", "backend-clips"):
        rows = curve(tmp_path, name)
        assert len(rows) == configs()[name].epochs
        assert np.isfinite([row["loss"] for row in rows]).all()
        verify(read_card(places(tmp_path, name).output))
        model = keras.saving.load_model(places(tmp_path, name).output / MODEL_FILE, compile=False)
        assert model.output_shape == (None, 2)


@pytest.mark.exhaustive
def test_clip_that_becomes_unreadable_in_mid_training_is_named_and_the_training_goes_on_when_it_is_back(
    folder: Path, tmp_path: Path
) -> None:
    dataset, config = make_dataset(tmp_path / "data", clips=6), configs()["clips"]
    clip = dataset.of(Split.TRAIN)[0].path
    whole = clip.read_bytes()

    def step(what: str, done: int, total: int) -> None:
        if what.startswith("epoch 1 ") and done == total:
            clip.write_bytes(b"damaged")

    where = places(tmp_path, "clips")
    with pytest.raises(TrainingError, match=r"clips/dark/00\.mp4 cannot be decoded.*--resume goes on"):
        train(config, dataset, where, Teller(step, lambda line: None))
    clip.write_bytes(whole)
    train(config, dataset, where, quiet(), resume=True)
    with (where.run / "final" / "log.csv").open() as stream:
        assert [row["epoch"] for row in csv.DictReader(stream)] == ["1", "2"]


@pytest.mark.exhaustive
def test_full_disk_in_mid_training_is_told_and_the_training_goes_on_as_if_nothing_had_been(
    folder: Path, dataset: Dataset, trained: dict[str, float], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 400_000) as disk:
        where = replace(places(folder, "full"), run=disk / "run")

        def step(what: str, done: int, total: int) -> None:
            if what.startswith("epoch 2 ") and done == 1:
                fill(disk)

        with pytest.raises(TrainingError, match=r"No space left on device.*--resume goes on"):
            train(configs()["cached"], dataset, where, Teller(step, lambda line: None))
        assert not list(disk.glob("**/*.part"))
        (disk / "everything-else").unlink()
        metrics = train(configs()["cached"], dataset, where, quiet(), resume=True)
    assert metrics == pytest.approx(trained)
