"""A saved network learns on as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import TrainingError
from models.networks.i3d import I3DConfig, build_i3d
from models.retraining.recipes import NAMES, Clips, recipe
from models.training.config import Mode, NetworkConfig
from models.training.kinds.saved import SAVED, Saved, before_output
from models.training.run.networks import trainable
from models.weights.cards import read_card
from models.weights.saved_network import load_network
from tests.models.conftest import randomise, write_folder
from tests.models.small_network import SMALL_LABELS, small_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_folder(tmp_path_factory.mktemp("saved") / "small")


def saved(folder: Path) -> Saved:
    card = read_card(folder)
    return Saved(recipe("quick", card, Clips(12, 25.0, with_base=True), before_output(load_network(card))).config)


def test_saved_network_is_cut_before_its_output_and_is_whole_again(folder: Path) -> None:
    kind = saved(folder)
    assert list(kind.problems(folder.parent)) == kind.built_problems() == []
    assert isinstance(trainable(kind.config), Saved)
    assert kind.card_kind == "se_i3d"
    model = kind.build(Mode.RGB, SMALL_LABELS, None)
    assert kind.config.transfer.cache_at.startswith("global_average_pooling3d")
    clip = np.random.default_rng(0).uniform(-1, 1, (2, *model.input_shape[1:])).astype(np.float32)
    features = kind.front(Mode.RGB, model).model.predict_on_batch(clip)
    head = kind.head(model, features.shape[1:])
    np.testing.assert_allclose(head.predict_on_batch(features), model.predict_on_batch(clip), atol=1e-5)


def test_saved_network_learns_its_output_alone_or_from_a_layer_on(folder: Path) -> None:
    kind = saved(folder)
    model = kind.build(Mode.RGB, SMALL_LABELS, None)
    kind.set_trainable(model, "new")
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {model.layers[-1].name}
    kind.set_trainable(model, "all")
    assert len(model.trainable_weights) == len(model.weights)


def test_saved_network_refuses_other_labels_and_says_what_it_cannot_be(folder: Path, tmp_path: Path) -> None:
    kind = saved(folder)
    with pytest.raises(TrainingError, match="small knows Fighting, Standing, Walking; got data of a, b"):
        kind.build(Mode.RGB, ("a", "b"), None)
    absent = Saved(replace(kind.config, network=NetworkConfig(kind=SAVED, init=str(tmp_path / "none"))))
    assert ["does not exist" in problem for problem in absent.problems(tmp_path)] == [True]
    recurrent = changed(folder, tmp_path / "gru", "se_i3d", "cnn_gru")
    assert [line for line in saved(recurrent).problems(tmp_path) if "cnn_gru" in line]


def changed(folder: Path, other: Path, before: str, after: str) -> Path:
    import shutil

    shutil.copytree(folder, other)
    card = other / "card.json"
    card.write_text(card.read_text().replace(before, after))
    return other


def test_output_that_reads_several_features_is_no_place_to_cut() -> None:
    import keras

    clip: Any = keras.Input((4,))
    joined = keras.layers.Concatenate(name="joined")([keras.layers.Dense(2)(clip), clip])
    assert before_output(keras.Model(clip, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(joined)))) == "joined"


@pytest.mark.parametrize("name", NAMES)
def test_saved_network_of_several_depths_learns_on_with_either_recipe(name: str, tmp_path: Path) -> None:
    depths = ("Mixed_4c", "Mixed_4f", "Mixed_5c")
    model = build_i3d(I3DConfig(3, size_hw=(32, 32), depths=depths, head_norm=True))
    randomise(model)
    card = read_card(write_folder(tmp_path / "deep", model, SMALL_LABELS, (16, 32, 32)))
    kind = Saved(recipe(name, card, Clips(12, 25.0, with_base=True), before_output(load_network(card))).config)
    assert list(kind.problems(tmp_path)) == kind.built_problems() == []
    model = kind.build(Mode.RGB, SMALL_LABELS, None)
    clip = np.random.default_rng(0).uniform(-1, 1, (2, 16, 32, 32, 3)).astype(np.float32)
    features = kind.front(Mode.RGB, model).model.predict_on_batch(clip)
    head = kind.head(model, features.shape[1:])
    np.testing.assert_allclose(head.predict_on_batch(features), model.predict_on_batch(clip), rtol=1e-4, atol=1e-3)
