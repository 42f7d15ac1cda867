from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from models.data.manifest import Split, read_dataset
from models.errors import TrainingError
from models.networks.i3d import I3DConfig, build_i3d
from models.training.config import TrainConfig, load_config
from models.weights.cards import read_card
from service.cli import build_parser, main
from service.commands.exit_status import EXIT_FAILED
from service.commands.train import command_line
from tests.models.conftest import write_folder
from tests.models.data.trees import write_video
from tests.models.training_runs import make_dataset
from tests.service.commands.command_line import typed
from tests.support.places import REPOSITORY


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "models" / "configs").rglob("[!_]*.py")), ids=lambda path: path.stem
)
def test_shipped_configs_load_and_say_what_they_are(path: Path) -> None:
    config = load_config(path)
    assert isinstance(config, TrainConfig)
    assert config.name.replace("-", "_") == path.stem  # a module's name has no dash
    from models.training.run.checks import config_problems

    problems = [
        problem
        for problem in config_problems(config, REPOSITORY / "weights")
        if "no weights to start from" not in problem
    ]
    assert problems == []


def test_config_that_raises_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("CONFIG = 1 / 0\n")
    with pytest.raises(TrainingError, match=r"mine\.py cannot be run: ZeroDivisionError"):
        load_config(path)
    path.write_text("CONFIG = {}\n")
    with pytest.raises(TrainingError, match=r"must define CONFIG = TrainConfig\(…\), got dict"):
        load_config(path)


def test_train_without_a_data_set_says_how_to_name_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from models.training.config import TrainConfig\nCONFIG = TrainConfig(name='mine')\n")
    with pytest.raises(TrainingError, match="give --data DIR"):
        typed("train", path)


def test_command_on_the_card_holds_no_folders_of_this_machine(tmp_path: Path) -> None:
    words = ["train", str(REPOSITORY / "models" / "configs" / "quick.py"), "--data", str(tmp_path / "data set")]
    command = command_line(build_parser(words).parse_args(words))
    assert str(tmp_path) not in command
    assert command.endswith("quick.py --data 'data set'")


SMALL = """
from models.data.batches.clip_window import WindowConfig
from models.training.config import *

CONFIG = TrainConfig(
    name="mine",
    network=NetworkConfig(init="start"),
    input=ClipInput(window=WindowConfig(16), size=32, augment=None),
    transfer=TransferConfig(unfreeze=(Unfreeze(0, "new"),)),
    epochs=1,
)
"""


@pytest.mark.exhaustive
@pytest.mark.slow
def test_start_weights_and_output_lie_where_the_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As those of ``actoscope weights pull`` do."""
    weights, config = tmp_path / "networks", tmp_path / "mine.py"
    config.write_text(SMALL)
    make_dataset(tmp_path / "data", clips=6)
    places = ["--run-folder", str(tmp_path / "run"), "--cache", str(tmp_path / "features")]
    words = ["train", str(config), "--data", str(tmp_path / "data"), "--quiet", *places]
    monkeypatch.setenv("ACTOSCOPE_WEIGHTS_DIR", str(weights))
    assert main(words) == EXIT_FAILED
    assert f"there are no weights to start from in {weights / 'start'} (" in capsys.readouterr().err
    network = build_i3d(I3DConfig(num_classes=2, size_hw=(32, 32)))
    write_folder(weights / "start", network, ("other", "names"), (16, 32, 32))
    assert main(words) == 0
    card = read_card(weights / "mine")
    assert (card.kind, card.provenance) == ("se_i3d", "trained from start")


SPORTS = """
from dataclasses import replace
from models.configs.roads.ucf_sports import CONFIG as SPORTS
from models.data.batches.clip_window import WindowConfig
from models.training.config import ClipInput, NetworkConfig, Unfreeze

rows = SPORTS.transfer.unfreeze
CONFIG = replace(
    SPORTS,
    network=NetworkConfig(init=""),
    input=ClipInput(window=WindowConfig(16), size=32, augment=None),
    transfer=replace(SPORTS.transfer, unfreeze=tuple(Unfreeze(n, row.train_from) for n, row in enumerate(rows))),
    epochs=len(rows),
)
"""


@pytest.mark.slow
def test_ucf_sports_from_its_own_tree_to_a_model_that_thawed_block_by_block_in_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 4):
        for seed, view in enumerate(("Golf-Swing-Back", "Golf-Swing-Side", "Lifting")):
            write_video(tmp_path / "ucf" / view / f"{number:03d}" / "a.avi", 26, seed=10 * number + seed)
    config = tmp_path / "small.py"
    config.write_text(SPORTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTOSCOPE_WEIGHTS_DIR", str(tmp_path / "weights"))
    assert main(["train", str(config), "--videos", "ucf", "--layout", "ucf-sports", "--quiet"]) == 0
    assert "Golf-Swing" in capsys.readouterr().out  # how many clips there are of each class
    card = read_card(tmp_path / "weights" / "ucf-sports")
    assert card.labels == ("Golf-Swing", "Lifting")
    assert card.command == "actoscope train small.py --videos ucf --layout ucf-sports"
    with (tmp_path / "runs" / "ucf-sports" / "final" / "log.csv").open() as log:
        assert len(list(csv.DictReader(log))) == 3
    data = read_dataset(tmp_path / "runs" / "ucf-sports" / "data")
    assert len(data.records) == 9 and data.of(Split.TEST)


SEED = {"data_path": "data", "classes": ["bright", "dark"], "epochs": 1, "batch_size": 4, "frames": 16, "lr": 1e-2}
SEED |= {"scheduler": {"step": 1, "gamma": 0.5}, "hidden_nodes": 4, "freeze": True, "crop": 32}
SEED |= {"unfreeze": {"epoch": 0, "block": "5c"}, "model_name": "i3d", "weights_path": "start", "save_path": "out/gym"}


@pytest.mark.slow
@pytest.mark.parametrize("tests", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_forerunners_configuration_file_is_trained_and_tested_as_it_says(
    tests: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTOSCOPE_WEIGHTS_DIR", str(tmp_path / "weights"))
    (tmp_path / "seed.json").write_text(json.dumps({**SEED, "test": tests}))
    make_dataset(tmp_path / "data", clips=6)
    network = build_i3d(I3DConfig(num_classes=2, size_hw=(32, 32), gate=None))
    write_folder(tmp_path / "weights" / "start", network, ("other", "names"), (16, 32, 32))
    assert main(["train", "--seed-config", "seed.json", "--quiet"]) == 0
    card = read_card(tmp_path / "out" / "gym")
    assert (card.kind, card.clip_shape, card.command) == (
        "i3d",
        (16, 32, 32, 3),
        "actoscope train --seed-config seed.json --data data",
    )
    with (tmp_path / "runs" / "seed" / "final" / "log.csv").open() as log:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(log)]
    assert rates == pytest.approx([5e-3])  # at the epoch's end
    assert (tmp_path / "evaluations" / "gym" / "evaluation.json").is_file() is tests
    (tmp_path / "seed.json").write_text(json.dumps({**SEED, "classes": ["bright", "night"]}))
    assert main(["train", "--seed-config", "seed.json", "--quiet"]) == EXIT_FAILED
    assert "the file has bright, night, the data set dark, bright" in capsys.readouterr().err


def test_forerunners_switches_may_leave_the_training_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "data", clips=6)
    (tmp_path / "seed.json").write_text(json.dumps({**SEED, "train": False, "test": True}))
    assert main(["train", "--seed-config", "seed.json", "--quiet"]) == EXIT_FAILED
    assert "out/gym" in capsys.readouterr().err  # `evaluate` says that there is no model yet
    (tmp_path / "seed.json").write_text(json.dumps({**SEED, "train": False}))
    assert main(["train", "--seed-config", "seed.json", "--quiet"]) == EXIT_FAILED
    assert "nothing is left to do" in capsys.readouterr().err


def test_train_takes_one_configuration(tmp_path: Path) -> None:
    for words in ((), ("mine.py", "--seed-config", "seed.json")):
        with pytest.raises(TrainingError, match="either CONFIG or --seed-config FILE"):
            typed("train", *words)
