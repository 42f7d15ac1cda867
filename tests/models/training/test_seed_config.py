"""A forerunner's configuration file, key by key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import TrainingError
from models.training.config import OptimizerKind, Unfreeze
from models.training.run.checks import config_problems
from models.training.seed_config import SPELLINGS, SeedTraining, load_seed_config

FULL: dict[str, Any] = {
    "data_path": "data/gym",
    "weights_path": "i3d-kinetics400",
    "save_path": "weights/gym",
    "log_path": "runs/gym",
    "classes": ["pull-up", "push-up", "squat"],
    "num_classes": 3,
    "epochs": 12,
    "batch_size": 4,
    "frames": 32,
    "learning_rate": 5e-4,
    "scheduler_step": 5,
    "scheduler_gamma": 0.5,
    "hidden_nodes": 128,
    "freeze": True,
    "unfreeze_epoch": 3,
    "unfreeze_block": "Mixed_4d",
    "train": True,
    "test": True,
    "model_name": "i3d",
    "crop": 112,
}


def load(tmp_path: Path, values: dict[str, Any], name: str = "gym.json") -> SeedTraining:
    path = tmp_path / name
    path.write_text(json.dumps(values))
    return load_seed_config(path)


def test_every_key_becomes_ours(tmp_path: Path) -> None:
    seed = load(tmp_path, FULL)
    config = seed.config
    assert (seed.data, seed.output, seed.run) == (Path("data/gym"), Path("weights/gym"), Path("runs/gym"))
    assert (seed.is_training, seed.is_testing, seed.labels) == (True, True, ("pull-up", "push-up", "squat"))
    assert (config.name, config.epochs, config.batch_size) == ("gym", 12, 4)
    assert (config.network.kind, config.network.init, config.network.hidden) == ("i3d", "i3d-kinetics400", 128)
    assert (config.input.window.length, config.input.size) == (32, 112)
    assert (config.optimizer.kind, config.optimizer.learning_rate) == (OptimizerKind.ADAM, 5e-4)
    schedule = config.schedule
    assert (schedule.decay, schedule.step_epochs, schedule.gamma, schedule.warmup_epochs) == ("step", 5, 0.5, 0)
    assert config.transfer.unfreeze == (Unfreeze(0, "new"), Unfreeze(3, "Mixed_4d"))
    assert config.transfer.cache_at == "Mixed_4c"
    assert set(SPELLINGS) - set(FULL) == {"train_path", "test_path"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "learning-rate: 5e-4\nscheduler:\n  step: 5\n  gamma: 0.5\nunfreeze:\n  epoch: 3\n  block: 4d\n"),
        ("a.ini", "[training]\nlr = 5e-4\n[scheduler]\nstep = 5\ngamma = 0.5\n[unfreeze]\nepoch = 3\nblock = 4D\n"),
        (
            "a.py",
            "import os\nLEARNING_RATE = 5e-4\nSTEP_SIZE, = 5,\nSTEP_SIZE: int = 5\nGAMMA = 0.5\nUNFREEZE_EPOCH: int\n"
            "UNFREEZE_EPOCH = 3\nUNFREEZE_BLOCK = 5\n\n\ndef run():\n    os.abort()\n",
        ),
        ("a.conf", "lr = 0.0005\nstep_size = 5\ngamma = 0.5\nunfreeze_epoch = 3\nunfreeze_block = mixed_4d\n"),
    ],
)
def test_other_ways_to_write_it_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    config = load_seed_config(tmp_path / name).config
    assert config.optimizer.learning_rate == 5e-4
    assert (config.schedule.decay, config.schedule.step_epochs, config.schedule.gamma) == ("step", 5, 0.5)
    assert config.transfer.unfreeze == (Unfreeze(0, "new"), Unfreeze(3, "Mixed_4d"))


def test_python_that_computes_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("EPOCHS = __import__('os').abort()\n")
    with pytest.raises(TrainingError, match=r"a\.py cannot be read"):
        load_seed_config(tmp_path / "a.py")


def test_unknown_keys_are_refused_all_at_once_with_the_nearest_known(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as refused:
        load(tmp_path, {"epochs": 3, "learnin_rate": 1, "unfreeze_blok": 1, "zzz": 1})
    message = str(refused.value)
    assert "learnin_rate (did you mean learning_rate?)" in message
    assert "unfreeze_blok (did you mean unfreeze_block?)" in message
    assert "zzz (there are data_path, " in message


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epochs": 0}, "epochs: expected a whole number of at least 1, got 0"),
        ({"epochs": True}, "epochs: expected a number of at least 0, got True"),
        ({"batch_size": 1.5}, "batch_size: expected a whole number"),
        ({"learning_rate": 0}, "learning_rate: expected a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate: expected a number of at least 0, got 'fast'"),
        ({"lr": 1, "learning_rate": 1}, "says learning_rate twice"),
        ({"freeze": "maybe"}, "freeze: expected true or false, got 'maybe'"),
        ({"unfreeze_epoch": 3}, "together, got unfreeze_epoch alone"),
        ({"unfreeze_epoch": 3, "unfreeze_block": 12}, "unfreeze_block: expected 1 to 9"),
        ({"freeze": False, "unfreeze_epoch": 3, "unfreeze_block": 1}, "nothing is frozen"),
        ({"classes": ["a", "b"], "num_classes": 3}, "num_classes: 3 are said, 2 named"),
        ({"weights_path": "rgb_imagenet.pt"}, "actoscope weights pull"),
        ({"model_name": "mobilenetv3", "hidden_nodes": 5}, "hidden_nodes"),
        ({"data_path": "a", "train_path": "a/train"}, "got both"),
        ({"train_path": "a/train", "test_path": "b/test"}, "beside each other"),
        ({"a": {"b": {"c": 1}}}, "a section within a section"),
    ],
)
def test_value_that_cannot_be_is_one_clear_error(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    if "mobilenetv3" in values.values():
        from models.networks.registry import NETWORKS

        values = {**values, "model_name": next(kind for kind in NETWORKS if "mobile" in kind)}
    with pytest.raises(TrainingError) as refused:
        load(tmp_path, values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("values", "rows", "cache_at"),
    [
        ({"model": "i3d"}, (Unfreeze(0, "new"),), "Mixed_5c"),
        ({"model": "se_i3d"}, (Unfreeze(0, "new"),), "MaxPool3d_5a_2x2"),
        ({"freeze": False}, (Unfreeze(0, "all"),), ""),
        ({"unfreeze_epoch": 0, "unfreeze_block": 8}, (Unfreeze(0, "Mixed_5b"),), "MaxPool3d_5a_2x2"),
        ({"unfreeze_epoch": 2, "unfreeze_block": "all"}, (Unfreeze(0, "new"), Unfreeze(2, "all")), ""),
        ({"model": "i3d", "unfreeze_epoch": 0, "unfreeze_block": 9}, (Unfreeze(0, "Mixed_5c"),), "Mixed_5b"),
    ],
)
def test_features_end_before_the_first_block_that_learns(
    tmp_path: Path, values: dict[str, Any], rows: tuple[Unfreeze, ...], cache_at: str
) -> None:
    config = load(tmp_path, values).config
    assert (config.transfer.unfreeze, config.transfer.cache_at) == (rows, cache_at)
    assert [problem for problem in config_problems(config, tmp_path) if "no weights to start from" not in problem] == []


def test_what_the_file_leaves_out_is_the_rate_that_stays_and_the_name_of_the_file(tmp_path: Path) -> None:
    seed = load(tmp_path, {}, "squats.json")
    assert (seed.config.name, seed.config.network.kind, seed.config.schedule.decay) == ("squats", "se_i3d", "constant")
    assert (seed.data, seed.output, seed.is_training, seed.is_testing) == (None, None, True, False)
    assert load(tmp_path, {"model_name": "my squats"}).config.name == "my squats"
    assert load(tmp_path, {"train_path": "gym/train", "test_path": "gym/test"}).data == Path("gym")


def test_classes_must_be_those_of_the_data_set_in_any_order(tmp_path: Path) -> None:
    named = load(tmp_path, {"classes": "squat, push-up"})
    named.check_labels(("push-up", "squat"))
    with pytest.raises(TrainingError, match="the file has squat, push-up, the data set squat"):
        named.check_labels(("squat",))
    with pytest.raises(TrainingError, match="the file has 4, the data set 2 classes"):
        load(tmp_path, {"classes": 4}).check_labels(("push-up", "squat"))
