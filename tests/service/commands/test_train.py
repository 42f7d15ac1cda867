from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import TrainingError
from models.training.config import TrainConfig, load_config
from service.cli import build_parser
from service.commands.train import command_line
from tests.service.commands.command_line import REPOSITORY, typed


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "models" / "configs").glob("[!_]*.py")), ids=lambda path: path.stem
)
def test_shipped_configs_load_and_say_what_they_are(path: Path) -> None:
    config = load_config(path)
    assert isinstance(config, TrainConfig)
    assert config.name == path.stem
    from models.training.checks import config_problems

    problems = [problem for problem in config_problems(config) if "no weights to start from" not in problem]
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
