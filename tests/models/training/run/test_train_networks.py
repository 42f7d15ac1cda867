"""Trainings of networks other than I3D: on cached features of pictures or layers, on clips, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.data.batches.clip_window import WindowConfig
from models.data.batches.input_pipeline import read_input
from models.data.manifest import Dataset, Split, read_dataset
from models.errors import TrainingError
from models.runtimes.runner import Precision
from models.training.config import (
    FRAME_FEATURES,
    FROM_SCRATCH,
    BatchNorm,
    LossConfig,
    Mode,
    NetworkConfig,
    OptimizerConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)
from models.training.data import SequenceSource, input_config, mix
from models.training.feature_cache import FeatureSet
from models.training.run.checks import check_training
from models.training.run.networks import trainable
from models.training.run.scores import scores
from models.training.run.train import train
from models.weights.cards import MODEL_FILE, read_card, verify
from tests.models.small_backbone import SMALL, write_weights
from tests.models.training_runs import LABELS, make_dataset, places, quiet, silent, tiny
from tests.support.places import REPOSITORY

WEIGHTS = REPOSITORY / "weights"
SEEN = 4  # pictures that the tiny networks look at, of 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("networks")
    make_dataset(root / "data")
    write_weights(root / "small.weights.h5")
    return root


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return read_dataset(folder / "data")


def recurrent(folder: Path, **options: Any) -> TrainConfig:
    """CNN + GRU on cached features of the tiny backbone."""
    given = {
        **SMALL,
        "weights": str(folder / "small.weights.h5"),
        "frames": SEEN,
        "units": (8,),
        "dropout": 0.0,
        **options,
    }
    return replace(
        tiny(),
        network=NetworkConfig(kind="cnn_gru", init="", options=given),
        transfer=replace(FRAME_FEATURES, draws=2),
        input=replace(tiny().input, augment=None),
        loss=LossConfig(),
        optimizer=OptimizerConfig(learning_rate=1e-2),
        mixup=0.0,
        weight_average=0.0,
        epochs=10,
    )


@pytest.fixture
def eager() -> Iterator[None]:
    """Steps without a graph: for three of them it would take longer to build than they do."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def trained(folder: Path, dataset: Dataset) -> dict[str, float]:
    """In float32: what a trained backbone passes over, one of random weights makes larger from layer to layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.training.frozen_front.choose_precision", lambda *_: Precision.F32)
        return train(recurrent(folder), dataset, places(folder, "gru"), quiet(), command="actoscope train tiny.py")


def cached(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted((folder / "features").glob(f"MobileNet-*/{pattern}.npy"))


@pytest.mark.slow
def test_recurrent_network_learns_from_cached_features_of_pictures(
    folder: Path, dataset: Dataset, trained: Mapping[str, float]
) -> None:
    """… and the whole network on clips is as good as its end was on the cache."""
    with (places(folder, "gru").run / "final" / "log.csv").open() as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[-1] < losses[0] / 4
    files = cached(folder)
    assert len(files) == 12
    assert {np.load(file).shape for file in files} == {(SEEN, 256)}
    card = read_card(places(folder, "gru").output)
    verify(card)
    assert (card.kind, card.clip_shape, card.labels) == ("cnn_gru", (16, 32, 32, 3), LABELS)
    assert card.provenance == "trained from the weights small.weights.h5"
    model = keras.saving.load_model(card.folder / MODEL_FILE, compile=False, safe_mode=True)
    records = dataset.of(Split.VAL)
    plain = input_config(tiny(), len(LABELS))
    clips = np.stack([read_input(record, plain) for record in records]).astype(np.float32) / 127.5 - 1
    found = scores(keras.ops.convert_to_numpy(model(clips, training=False)), dataset.targets(records))
    assert found["accuracy"] == trained["val_accuracy"]
    assert found["loss"] == pytest.approx(trained["val_loss"], rel=0.05)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_short_clips_may_be_masked(folder: Path, dataset: Dataset) -> None:
    config = replace(recurrent(folder, units=(6,), attention=True, heads=1), epochs=1, mixup=0.2)
    window = WindowConfig(30)  # the clips have 20 pictures: of 3, 11, 18 and 26 the last is not there
    masked = replace(config, input=replace(config.input, window=window, augment=None, repeat=False))
    metrics = train(masked, dataset, places(folder, "masked"), quiet())
    assert np.isfinite(metrics["val_loss"])
    assert {np.load(file).shape for file in cached(folder, "*-once")} == {(3, 256)}


def test_features_are_shared_by_all_that_see_the_same(folder: Path) -> None:
    def name(config: TrainConfig) -> str:
        network = trainable(config)
        return network.front(Mode.RGB, network.build(Mode.RGB, LABELS, None)).name

    config = recurrent(folder)
    first = name(config)
    assert first.startswith("MobileNet-")
    lstm = recurrent(folder, units=(5,), attention=True, hidden=4)
    assert name(replace(lstm, network=replace(lstm.network, kind="cnn_lstm"))) == first
    assert name(recurrent(folder, frames=3)) != first
    assert name(recurrent(folder, weights=None)) != first


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`:UserWarning")
def test_end_to_end_from_a_weights_folder_changes_what_is_named(
    folder: Path, dataset: Dataset, trained: Mapping[str, float]
) -> None:
    config = recurrent(folder)
    start = {name: value for name, value in config.network.options.items() if name != "weights"}
    network = replace(config.network, init=str(places(folder, "gru").output), options=start)
    transfer = TransferConfig(cache_at="", unfreeze=(Unfreeze(0, "conv_pw_13"),))
    fine = replace(config, network=network, transfer=transfer, epochs=1, optimizer=OptimizerConfig(learning_rate=1e-3))
    train(fine, dataset, places(folder, "fine"), quiet())
    old, new = (
        keras.saving.load_model(places(folder, name).output / MODEL_FILE, compile=False) for name in ("gru", "fine")
    )
    changed = {
        layer.name
        for layer, other in zip(old.layers, new.layers, strict=True)
        if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), other.get_weights(), strict=True))
    }
    assert changed == {"conv_pw_13", "Norm", "Recurrent_1", "Logits"}  # normalisation of the backbone stays


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_3d_network_learns_from_features_cached_at_one_of_its_layers(folder: Path, dataset: Dataset) -> None:
    network = NetworkConfig(kind="mobilenet_v3_3d", init="", options={"size": "small", "width": 0.25})
    transfer = TransferConfig(cache_at="bneck_11", draws=1, unfreeze=(Unfreeze(0, "new"),))
    config = replace(recurrent(folder), network=network, transfer=transfer, epochs=1)
    assert np.isfinite(train(config, dataset, places(folder, "mobile"), quiet())["val_loss"])
    card = read_card(places(folder, "mobile").output)
    assert (card.kind, card.provenance) == ("mobilenet_v3_3d", "trained from random weights")
    assert len(list((folder / "features").glob("mobilenet_v3_3d-bneck_11-*/*.npy"))) == 12


@pytest.mark.exhaustive
@pytest.mark.slow
def test_networks_from_random_weights_share_the_augmented_clips_that_are_kept(folder: Path, dataset: Dataset) -> None:
    """``cache_at="clip"``: what is kept is what goes in, so that a second network computes nothing anew."""

    def config(kind: str, stem: str, **options: Any) -> TrainConfig:
        transfer = TransferConfig((Unfreeze(0, stem),), "clip", draws=2, batch_norm=BatchNorm.TRAINED)
        network = NetworkConfig(kind=kind, init="", options=options)
        seen = replace(tiny().input, window=WindowConfig(12))
        return replace(recurrent(folder), network=network, transfer=transfer, input=seen, epochs=1)

    mobile = config("mobilenet_v3_3d", "Conv_1", size="small", width=0.25)
    assert np.isfinite(train(mobile, dataset, places(folder, "mobile-clips"), quiet())["val_loss"])
    kept = sorted((folder / "features").glob("rgb-clip-*/*.npy"))
    assert len(kept) == 8 * 2 + 4 and {np.load(file).shape for file in kept} == {(12, 32, 32, 3)}
    other = trainable(config("shufflenet_v2_3d", "Conv1", width=0.5))
    assert other.front(Mode.RGB, other.build(Mode.RGB, LABELS, None)).name == kept[0].parent.name
    plain, _ = trainable(mobile).examples.reader(Mode.RGB).read(dataset.of(Split.VAL)[0], 0)
    assert any(np.array_equal(np.load(file), plain.astype(np.float16)) for file in kept)


def problems(config: TrainConfig, dataset: Dataset) -> str:
    with pytest.raises(TrainingError) as caught:
        check_training(config, dataset, WEIGHTS, silent)
    return str(caught.value)


def test_networks_that_do_not_read_crops_are_refused(folder: Path, dataset: Dataset) -> None:
    config = recurrent(folder)
    for kind, why in (
        ("two_stream_i3d", "reads crops together with their flow: train its streams as i3d"),
        ("action_transformer", "reads whole scenes and the boxes of people"),
        (
            "perceptron",
            "network.kind must be one of action_transformer, cnn_attention, cnn_average, cnn_gru, .*; got 'perceptron'",
        ),
    ):
        with pytest.raises(TrainingError, match=why):
            check_training(replace(config, network=NetworkConfig(kind=kind, init="")), dataset, WEIGHTS, silent)


def test_everything_that_contradicts_itself_is_listed(folder: Path, dataset: Dataset) -> None:
    config = recurrent(folder)
    wrong = replace(
        config,
        network=NetworkConfig(kind="mobilenet_v3_3d", hidden=9),
        input=replace(config.input, window=WindowConfig(8), repeat=False),
        optimizer=OptimizerConfig(output_rate=5.0),
        mode=Mode.FLOW,
        transfer=replace(FRAME_FEATURES, cache_at=""),
    )
    text = problems(wrong, dataset)
    for problem in (
        "network.hidden is for I3D",
        "mode flow is for I3D",
        "optimizer.output_rate is for I3D",
        "network.init 'i3d-kinetics400' holds an I3D",
        "input.window.length and input.size are not what a model's card may say",
        "input.repeat=False is for cached features of cnn_gru, cnn_lstm",
    ):
        assert problem in text
    scratch = replace(config, network=NetworkConfig(kind="cnn_gru", init=""), transfer=FROM_SCRATCH)
    frozen = replace(scratch, transfer=TransferConfig(cache_at="", unfreeze=(Unfreeze(0, "all"),)))
    assert "its batch normalisation must learn, too" in problems(frozen, dataset)
    options = replace(tiny(), network=NetworkConfig(init="", options={"frames": 3}))
    assert "network.options are for other networks than I3D" in problems(options, dataset)


def test_layers_and_options_that_the_network_lacks_are_named(folder: Path, dataset: Dataset) -> None:
    config = recurrent(folder)
    rows = replace(FRAME_FEATURES, unfreeze=(Unfreeze(0, "Mixed_5b"),))
    assert "no layer is called 'Mixed_5b'; there are Recolour, " in problems(replace(config, transfer=rows), dataset)
    early = TransferConfig(cache_at="conv_pw_1", unfreeze=(Unfreeze(0, "conv1"), Unfreeze(1, "all")))
    text = problems(replace(config, transfer=early), dataset)
    assert "cnn_gru caches at 'Features'" in text and "conv1, all lies in the part whose features are cached" in text
    for options, why in (
        ({"beta": 1}, "cnn_gru cannot be built: cnn_gru has no such option"),
        ({"weights": "gone.h5"}, "there is no file gone.h5"),
    ):
        network = replace(config.network, options={**config.network.options, **options})
        assert why in problems(replace(config, network=network), dataset)


def test_sequences_are_padded_with_a_mask_and_mixed_where_either_is(tmp_path: Path) -> None:
    rows = [np.full((length, 2), length, np.float16) for length in (3, 1)]
    files = []
    for number, row in enumerate(rows):
        files.append((tmp_path / f"{number}.npy",))
        np.save(files[-1][0], row)
    source = SequenceSource({Mode.RGB: FeatureSet(tuple(files), (4, 2))}, [0, 1], 2, 2, 0)
    ((inputs, targets),) = source.batches(None)
    assert inputs["mask"].tolist() == [[True, True, True, False], [True, False, False, False]]
    assert inputs["features"][:, :, 0].tolist() == [[3, 3, 3, 0], [1, 0, 0, 0]]
    mixed, _ = mix((inputs, targets), 1.0, _Swapping())
    assert mixed["mask"].tolist() == [[True, True, True, False]] * 2
    assert mixed["features"][:, 1, 0].tolist() == [1.5, 1.5]


class _Swapping(np.random.Generator):
    """Mixes both examples of a batch half and half."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def beta(self, *arguments: Any, **options: Any) -> Any:
        return np.full(2, 0.5)

    def permutation(self, *arguments: Any, **options: Any) -> Any:
        return np.array([1, 0])


def test_younger_fields_leave_the_names_of_older_trainings_as_they_were() -> None:
    text = repr(tiny())
    assert "options" not in text and "repeat" not in text and "gate_ratio=16" in text
