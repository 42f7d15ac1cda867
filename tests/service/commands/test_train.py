from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import TrainingError
from models.networks.i3d import I3DConfig, build_i3d
from models.training.config import TrainConfig, load_config
from models.weights.cards import read_card
from service.cli import build_parser, main
from service.commands.exit_status import EXIT_FAILED
from service.commands.train import command_line
from tests.models.conftest import write_folder
from tests.models.training_runs import make_dataset
from tests.service.commands.command_line import typed
from tests.support.places import REPOSITORY


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "models" / "configs").glob("[!_]*.py")), ids=lambda path: path.stem
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
