"""``batch submit --on ray``: what is asked for, and what is refused before any Ray is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import TrainingError
from service.batch_jobs.order import ConfigFile
from service.cli import build_parser
from service.cluster.links.errors import ClusterError
from service.commands.batch.on_ray import comparing, fold_orders
from service.settings import load_settings
from tests.service.commands.command_line import typed

AT = ("--data", "s3://bucket/datasets/gym/0", "--output", "s3://bucket/runs/gym")


def test_every_fold_is_the_entrypoint_with_its_share_and_the_comparison_is_one_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACTOSCOPE_S3_ENDPOINT", "https://s3.example")
    mine = tmp_path / "mine.py"
    mine.write_text("CONFIG = 1")
    words = ["batch", "submit", "--on", "ray", "--config", str(mine), *AT, "--folds", "2"]
    arguments, settings = build_parser(words).parse_args(words), load_settings()
    first, second = fold_orders(arguments, settings)
    assert first.words == ("batch", "run", *AT, "--quiet")
    assert first.config == ConfigFile("--config", "mine.py", "CONFIG = 1")
    assert (second.name, second.share.index, second.share.folds) == ("fold-2", 1, 2)
    assert second.environment == {"ACTOSCOPE_S3_ENDPOINT": "https://s3.example"}
    (last,) = comparing(arguments, settings)
    assert last.words == ("batch", "reduce", "--output", "s3://bucket/runs/gym", "--folds", "2")


def test_configuration_of_the_image_goes_by_its_name_and_folders_by_their_whole_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("batch", "submit", "--on", "ray", "--config", "quick", "--data", "data", "--output", "out", "--dry-run")
    assert typed(*words) == 0
    at = f"--data {tmp_path / 'data'} --output {tmp_path / 'out'}"
    assert capsys.readouterr().out == f"final: actoscope batch run {at} --quiet --config quick\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--queue", "q"), "--queue is for --on aws"),
        (("--gpus", "1.5"), "expected a whole number of GPUs"),
        (("--gpus", "-1"), "expected a whole number of GPUs"),
        (("--cpus", "0"), "expected a whole number of at least 1"),
        (("--detach", "--address", "local"), "ends with the command"),
    ],
)
def test_what_ray_does_not_know_is_a_usage_error(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        typed("batch", "submit", "--on", "ray", "--config", "quick", *AT, *words)
    assert left.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--definition", "d"), "--queue is needed for AWS Batch"),
        (("--queue", "q", "--definition", "d", "--address", "local"), "--address is for --on ray"),
    ],
)
def test_what_aws_does_not_know_is_a_usage_error(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        typed("batch", "submit", "--config", "quick", *AT, *words)
    assert told in capsys.readouterr().err


def test_cluster_without_a_token_or_a_leader_to_ask_for_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    submit = ("batch", "submit", "--on", "ray", "--config", "quick", *AT)
    with pytest.raises(ClusterError, match="needs a token that all its machines share"):
        typed(*submit)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("0" * 64)
    monkeypatch.setenv("ACTOSCOPE_CLUSTER_TOKEN", str(token))
    with pytest.raises(ClusterError, match="the cluster mode needs PostgreSQL"):
        typed(*submit)


def test_configuration_that_cannot_be_is_told_before_any_machine_is_asked() -> None:
    with pytest.raises(TrainingError, match="no configuration is called 'quik'"):
        typed("batch", "submit", "--on", "ray", "--config", "quik", *AT)
    with pytest.raises(TrainingError, match="expected at most 1000 folds, got 1001"):
        typed("batch", "submit", "--on", "ray", "--config", "quick", *AT, "--folds", "1001")
