"""``batch tune``: what is refused before any Ray is asked, and what every trial is told to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import TrainingError
from models.training.batch.trials import trials_of
from models.training.config import load_config
from service.cli import build_parser
from service.commands.batch.tune import trial_order
from service.settings import load_settings
from tests.service.commands.command_line import typed
from tests.support.places import REPOSITORY

AT = ("--data", "s3://bucket/datasets/gym/0", "--output", "s3://bucket/tunings/gym")


def test_every_trial_is_a_training_of_its_own_with_its_values(tmp_path: Path) -> None:
    words = ["batch", "tune", "quick", *AT]
    arguments = build_parser(words).parse_args(words)
    config = load_config(REPOSITORY / "models" / "configs" / "quick.py")
    trial = trials_of(config, 3, 0)[2]
    order = trial_order(trial, arguments, load_settings())
    at = ("--data", "s3://bucket/datasets/gym/0", "--output", "s3://bucket/tunings/gym/trials/0002")
    assert order.job.words == ("batch", "run", *at, "--quiet")
    assert (order.key, order.epochs, order.job.share.name) == ("trials/0002", config.epochs, "final")
    assert order.job.config is not None
    (tmp_path / order.job.config.name).write_text(order.job.config.text)
    read = load_config(tmp_path / order.job.config.name)
    assert (read.batch_size, read.mixup) == (trial.values["batch_size"], trial.values["mixup"])
    assert read.optimizer == trial.config.optimizer and read.search is None


def test_configuration_without_ranges_is_told() -> None:
    with pytest.raises(TrainingError, match="mobile declares no ranges"):
        typed("batch", "tune", "mobile", *AT)


@pytest.mark.parametrize("words", [("--reduction", "1"), ("--reduction", "x"), ("--trials", "0"), ("--grace", "0")])
def test_numbers_that_cannot_be_are_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as left:
        typed("batch", "tune", "quick", *AT, *words)
    assert left.value.code == 2
