"""Jobs whose machines go: killed, told to go, cut off from their store; and the next attempt ends as if nothing was."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from models.errors import TrainingError
from models.store.address import Address
from models.store.opening import open_store
from models.store.protocol import Store
from models.weights.cards import read_card
from service.cli import main
from service.commands.exit_status import EXIT_AGAIN, EXIT_FAILED
from service.commands.progress import ProgressBar
from tests.models.training_runs import make_dataset
from tests.service.commands.command_line import typed
from tests.support.places import REPOSITORY
from tests.support.s3 import BUSY, CREDENTIALS, FaultProxy

CONFIG = """
from dataclasses import replace
from models.training.config import NetworkConfig, OptimizerConfig, TransferConfig, Unfreeze
from tests.models.training_runs import tiny

CONFIG = replace(
    tiny("gym"),
    network=NetworkConfig(kind="i3d_light", init=""),
    transfer=TransferConfig(cache_at="Mixed_4b", draws=2, unfreeze=(Unfreeze(0, "Mixed_4c"),)),
    optimizer=OptimizerConfig(learning_rate=3e-3),
    epochs=3,
)
"""
EPOCHS = 3


@dataclass
class Run:
    """A data set that was pushed, a configuration, and what `batch run` is told of them."""

    folder: Path
    bucket: str
    url: str
    address: str

    @property
    def store(self) -> Store:
        return open_store(Address(self.bucket, "runs"), self.url)

    def words(self, output: str) -> list[str]:
        at = ["--output", f"s3://{self.bucket}/runs/{output}", "--scratch", str(self.folder / "scratch"), "--quiet"]
        return ["batch", "run", "--config", str(self.folder / "mine.py"), "--data", self.address, *at]

    def done(self, output: str, share: str = "fold-1") -> dict[str, Any]:
        return dict(json.loads(self.store.read(f"{output}/{share}/DONE")[0]))

    def curve(self, output: str) -> list[float]:
        """The loss after each epoch."""
        text = self.store.read(f"{output}/fold-1/log.csv")[0].decode()
        return [float(row["loss"]) for row in csv.DictReader(text.splitlines())]

    def newest(self, output: str) -> str:
        return str(json.loads(self.store.read(f"{output}/fold-1/LATEST")[0])["checkpoints"][0]["object"])


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory, aws: str) -> Run:
    """A tiny data set in a bucket of its own."""
    from tests.support.s3 import new_bucket

    folder = tmp_path_factory.mktemp("batch")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "ACTOSCOPE_S3_ENDPOINT": aws}.items():
            patch.setenv(name, value)
        run = Run(folder, new_bucket(aws), aws, "")
        make_dataset(folder / "data")
        (folder / "mine.py").write_text(CONFIG)
        assert typed("dataset", "push", folder / "data", "--to", f"s3://{run.bucket}", "--name", "gym", "--quiet") == 0
    (tree,) = [found.key for found in _bucket(run).list("datasets/gym") if found.key.endswith("tree.json")]
    run.address = f"s3://{run.bucket}/{tree.removesuffix('/tree.json')}"
    return run


def _bucket(run: Run) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        return open_store(Address(run.bucket), run.url)


@pytest.fixture
def job(pushed: Run, aws: str, credentials: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The first of three folds, in this process."""
    for name, value in {"ARRAY_INDEX": "0", "ARRAY_SIZE": "3", "ATTEMPT": "1", "ID": "a-b:0"}.items():
        monkeypatch.setenv(f"AWS_BATCH_JOB_{name}", value)
    monkeypatch.setenv("ACTOSCOPE_S3_ENDPOINT", aws)
    return pushed


@pytest.fixture
def undisturbed(job: Run) -> dict[str, Any]:
    """What comes out where nothing happens."""
    if job.store.head("straight/fold-1/DONE") is None:
        assert main(job.words("straight")) == 0
    return job.done("straight")


def in_epoch(number: int, do: Callable[[], None]) -> Callable[[ProgressBar, str, int, int | None], None]:
    """→ ``ProgressBar.step`` that does something in the middle of an epoch, once."""
    left = [do]

    def step(bar: ProgressBar, name: str, done: int, total: int | None) -> None:
        if name.startswith(f"epoch {number} ") and done == 2 and left:
            left.pop()()

    return step


def told(job: Run, output: str, epoch: int, word: str) -> subprocess.CompletedProcess[str]:
    """An attempt in a process of its own that is sent a signal in the middle of an epoch."""
    code = (
        "import os, signal, sys\nfrom service.cli import main\nfrom service.commands.progress import ProgressBar\n"
        "from tests.service.commands.batch.test_run import in_epoch\n"
        f"ProgressBar.step = in_epoch({epoch}, lambda: os.kill(os.getpid(), signal.{word}))\n"
        f"sys.exit(main({job.words(output)!r}))\n"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_fold_told_to_go_then_killed_then_with_a_truncated_checkpoint_ends_like_an_undisturbed_one(
    job: Run, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(job, "killed", 1, "SIGTERM")
    assert first.returncode == EXIT_AGAIN, first.stderr[-2000:]
    assert "told to go; the next attempt goes on" in first.stderr
    assert job.newest("killed") == "epoch-0000-000002.ckpt"
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "2")
    assert told(job, "killed", EPOCHS, "SIGKILL").returncode == -signal.SIGKILL
    assert job.newest("killed") == "epoch-0002.ckpt"
    content, _ = job.store.read("killed/fold-1/epoch-0002.ckpt")
    job.store.put_bytes("killed/fold-1/epoch-0002.ckpt", content[: len(content) // 2])
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "3")
    assert main(job.words("killed")) == 0
    said = capsys.readouterr().out
    assert "fold-1, attempt 3 of job a-b:0" in said
    assert "the checkpoint epoch-0002.ckpt cannot be used" in said
    assert "fold-1: goes on after epoch 1" in said
    done = job.done("killed")
    assert done["metrics"] == pytest.approx(undisturbed["metrics"], rel=1e-3)
    assert job.curve("killed") == pytest.approx(job.curve("straight"), rel=1e-3)
    assert done["epochs"] == EPOCHS
    assert main(job.words("killed")) == 0
    assert "fold-1 is done already" in capsys.readouterr().out


@pytest.mark.exhaustive
def test_upload_that_fails_fails_the_job_and_another_attempt_may_succeed(
    job: Run, undisturbed: dict[str, Any], proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTOSCOPE_S3_ENDPOINT", proxy.url)
    proxy.judge = lambda method, path: BUSY if method == "PUT" and "epoch-0002" in path else None
    assert main(job.words("away")) == EXIT_AGAIN
    assert job.newest("away") == "epoch-0001.ckpt"
    proxy.judge = lambda method, path: None
    assert main(job.words("away")) == 0
    assert job.done("away")["metrics"] == pytest.approx(undisturbed["metrics"], rel=1e-3)


def test_attempt_that_another_one_has_overtaken_is_another_attempts(
    job: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else writes the state in the middle of an epoch."""

    def overtake() -> None:
        content, _ = job.store.read("raced/fold-1/LATEST")
        job.store.put_bytes("raced/fold-1/LATEST", content + b"\n")

    monkeypatch.setattr(ProgressBar, "step", in_epoch(2, overtake))
    assert main(job.words("raced")) == EXIT_AGAIN
    said = capsys.readouterr().err
    assert "LATEST is not what was to be replaced" in said and "the next attempt goes on" in said
    folder = job.folder / "scratch" / "runs"
    assert len(list(folder.glob("*/fold-1/log.csv"))) == 1
    assert main(job.words("raced")) == 0
    assert job.done("raced")["epochs"] == EPOCHS
    assert list(folder.glob("*/fold-1")) == []  # it is in the store


@pytest.mark.exhaustive
def test_folds_are_compared_once_all_are_done_as_a_training_on_one_machine_compares_them(
    job: Run, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = f"s3://{job.bucket}/runs/straight"
    assert main(["batch", "reduce", "--output", output, "--folds", "3"]) == EXIT_FAILED
    assert "fold-2, fold-3 of 3 folds are not done" in capsys.readouterr().err
    for index in ("1", "2"):
        monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", index)
        assert main(job.words("straight")) == 0
    assert main(["batch", "reduce", "--output", output, "--folds", "3"]) == 0
    table = capsys.readouterr().out
    assert all(word in table for word in ("fold 1", "fold 3", "mean", "all clips", "macro_f1"))
    pooled = json.loads(job.store.read("straight/cv.json")[0])["pooled"]
    assert set(pooled) == {"cv_loss", "cv_accuracy", "cv_macro_f1"}
    rows = job.store.read("straight/cv_predictions.csv")[0].decode().splitlines()
    assert rows[0] == "path,label,group,fold,dark,bright" and len(rows) == 13
    assert len({row.split(",")[0] for row in rows[1:]}) == 12


@pytest.mark.exhaustive
def test_job_without_an_array_trains_the_network_that_is_kept(
    job: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ARRAY_INDEX", "ARRAY_SIZE"):
        monkeypatch.delenv(f"AWS_BATCH_JOB_{name}")
    assert main(job.words("kept")) == 0
    done = job.done("kept", "final")
    assert set(done["metrics"]) == {"val_loss", "val_accuracy", "val_macro_f1"}
    capsys.readouterr()
    assert (
        main(["dataset", "pull", f"s3://{job.bucket}/runs/kept/{done['model']}", str(tmp_path / "gym"), "--quiet"]) == 0
    )
    card = read_card(tmp_path / "gym")
    assert card.labels == ("dark", "bright") and "batch run" in card.command


@pytest.mark.parametrize(
    ("variable", "value"), [("ARRAY_INDEX", "7"), ("ARRAY_SIZE", "many"), ("ATTEMPT", "0"), ("ARRAY_INDEX", "-1")]
)
def test_environment_that_cannot_be_is_named(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AWS_BATCH_JOB_{variable}", value)
    words = ["--config", "quick", "--data", str(tmp_path), "--output", str(tmp_path / "out")]
    with pytest.raises(TrainingError, match=rf"AWS_BATCH_JOB_{variable}|expected a fold"):
        typed("batch", "run", *words)


def test_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    at = ["--output", tmp_path / "out", "--scratch", tmp_path / "scratch", "--quiet"]
    with pytest.raises(TrainingError, match=r"no configuration is called 'quik'; there are .*quick"):
        typed("batch", "run", "--config", "quik", "--data", tmp_path, *at)
