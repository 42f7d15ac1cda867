"""Folds and trials on a real Ray of this machine; each command in a process of its own, as Ray's mode sticks to one."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.training.config import load_config
from tests.models.training_runs import make_dataset
from tests.service.batch_jobs.ray_machines import ray_cluster
from tests.support.places import REPOSITORY
from tests.support.service import wait_for

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
TUNED = """
from models.training.search import Choice, SearchConfig

CONFIG = replace(
    CONFIG,
    optimizer=OptimizerConfig(learning_rate=1e-5),
    monitor="val_loss",
    search=SearchConfig({"optimizer.learning_rate": Choice((1.0, 2.0))}),  # with which it diverges
)
"""
TRAPS = """
from tests.service.batch_jobs.traps import kill_in_epoch

kill_in_epoch(3, fold=1)
kill_in_epoch(2, fold=2, whole_machine=True)
"""
TIMEOUT_S = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    make_dataset(folder / "data")
    for name, more in (("plain", ""), ("trapped", TRAPS), ("tuned", TUNED)):
        (folder / name).mkdir()
        (folder / name / "mine.py").write_text(CONFIG + more)
    return folder


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Of a command with these settings and no others."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ACTOSCOPE_", "RAY_"))},
        "ACTOSCOPE_DATA_DIR": str(folder / "machine"),
        "CUDA_VISIBLE_DEVICES": "",
        **{f"ACTOSCOPE_{name}": value for name, value in settings.items()},
    }


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "service.cli", "batch", *map(str, words), "--gpus", "0"]


def batch(folder: Path, *words: object, status: int = 0) -> str:
    """``actoscope batch`` on a Ray of this machine → what it printed."""
    done = subprocess.run(
        command(*words, "--address", "local"),
        env=environment(folder),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == status, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def submit(folder: Path, config: str, output: str) -> str:
    at = ("--data", folder / "data", "--output", folder / output)
    return batch(folder, "submit", "--on", "ray", "--config", folder / config / "mine.py", *at, "--folds", 2)


def done(folder: Path, output: str, fold: int) -> dict[str, Any]:
    return dict(json.loads((folder / output / f"fold-{fold}" / "DONE").read_text()))


def curve(folder: Path, output: str, fold: int) -> list[float]:
    with (folder / output / f"fold-{fold}" / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def straight(folder: Path) -> str:
    """What is printed where nothing happens."""
    return submit(folder, "plain", "straight")


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_folds_run_side_by_side_and_are_compared_at_the_end(folder: Path, straight: str) -> None:
    begun = [straight.index(f"fold-{fold}: attempt 1 on") for fold in (1, 2)]
    assert max(begun) < straight.index("| epoch 1 ")
    assert "reduce | all clips" in straight and (folder / "straight" / "cv.json").is_file()


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_folds_that_were_killed_end_like_undisturbed_ones(folder: Path, straight: str) -> None:
    killed = submit(folder, "trapped", "killed")
    assert "fold-1: ended by SIGKILL on" in killed and "fold-1 | fold-1: goes on after epoch 2" in killed
    assert "is gone (" in killed and "fold-2 | fold-2: goes on after epoch 1" in killed
    for fold in (1, 2):
        undisturbed = done(folder, "straight", fold)
        assert done(folder, "killed", fold)["metrics"] == pytest.approx(undisturbed["metrics"], rel=1e-3)
        assert curve(folder, "killed", fold) == pytest.approx(curve(folder, "straight", fold), rel=1e-3)


def tune(folder: Path, picked: str) -> str:
    at = ("--data", folder / "data", "--output", folder / "tuning", "--picked", folder / picked)
    how = ("--trials", 2, "--grace", 1, "--reduction", 2, "--parallel", 1)
    return batch(folder, "tune", folder / "tuned" / "mine.py", *at, *how)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hopeless_trial_is_stopped_early_and_the_better_one_is_picked(folder: Path) -> None:
    said = tune(folder, "picked.py")
    with (folder / "tuning" / "trials.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (first["epochs"], first["ended"]) == ("3", "all epochs")
    assert (second["epochs"], second["ended"]) == ("1", "stopped by ASHA")
    assert float(first["val_loss"]) < float(second["val_loss"])
    assert "trial 1: stopped by ASHA after 1 epoch\n" in said
    picked = load_config(folder / "picked.py")
    assert (picked.name, picked.optimizer.learning_rate) == ("gym-tuned", 1e-5)
    assert (folder / "tuning" / "picked.py").read_text() == (folder / "picked.py").read_text()
    trials = folder / "tuning" / "trials"
    assert (trials / "0000" / "final" / "DONE").is_file() and not (trials / "0001" / "final" / "DONE").exists()
    states = {path: path.stat().st_mtime_ns for path in trials.rglob("LATEST")}
    again = tune(folder, "again.py")
    assert "trial 1: stopped by ASHA after 1 epoch\n" in again
    assert (folder / "again.py").read_text() == (folder / "picked.py").read_text()
    assert states == {path: path.stat().st_mtime_ns for path in trials.rglob("LATEST")}  # nothing was learnt anew


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fold_whose_machine_dies_is_taken_up_on_another(folder: Path) -> None:
    """Each machine has room for one fold, so the second fold's goes."""
    long = folder / "long.py"
    long.write_text(CONFIG.replace("epochs=3", "epochs=8"))
    at = ("--data", folder / "data", "--output", folder / "moved")
    with ray_cluster(folder, 2) as (address, token, (_, second)):
        words = ("submit", "--on", "ray", "--address", address, "--config", long, *at, "--folds", 2)
        settings = environment(folder, CLUSTER_TOKEN=str(token), CLUSTER_HOST="127.0.0.31")
        told = command(*words, "--cpus", os.cpu_count())
        process = subprocess.Popen(told, env=settings, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said: list[str] = []
        with process.stdout:
            for line in process.stdout:
                said.append(line)
                if "| epoch 2 " in line:
                    break
            second.kill_raylet()
            said += process.stdout
        assert process.wait(60) == 0
    text = "".join(said)
    moved = [fold for fold in (1, 2) if f"fold-{fold}: attempt 2 on" in text]
    assert len(moved) == 1 and f"fold-{moved[0]}: {socket.gethostname()} is gone (" in text
    assert [done(folder, "moved", fold)["epochs"] for fold in (1, 2)] == [8, 8]
    assert "reduce | all clips" in text


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_jobs_that_were_detached_outlive_their_command_are_cancelled_and_go_on(folder: Path) -> None:
    long, hurry = folder / "detached.py", folder / "hurry"
    dawdling = "from pathlib import Path\nfrom tests.service.batch_jobs.traps import dawdle_until\n"
    dawdling += f"dawdle_until(Path({str(hurry)!r}))\n"
    long.write_text(CONFIG.replace("epochs=3", "epochs=6") + dawdling)
    at = ("--config", long, "--data", folder / "data", "--output", folder / "detached", "--detach")
    with ray_cluster(folder, 1) as (address, token, _):
        settings = environment(folder, CLUSTER_TOKEN=str(token), CLUSTER_HOST="127.0.0.31")

        def batch_on(*words: object, status: int = 0) -> str:
            told = [sys.executable, "-m", "service.cli", "batch", *map(str, words), "--address", address]
            ended = subprocess.run(
                told, env=settings, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
            assert ended.returncode == status, f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
            return ended.stdout

        def submitted() -> str:
            return batch_on("submit", "--on", "ray", "--gpus", 0, *at).splitlines()[-1].partition(":")[0]

        name = submitted()
        wait_for((folder / "detached" / "final" / "LATEST").exists, 120, "it learns without its command")
        assert f"{name}: running" in batch_on("status")
        assert f"{name}: cancelled" in batch_on("cancel", name)
        assert not (folder / "detached" / "final" / "DONE").exists()
        hurry.touch()
        again = submitted()
        assert again != name
        said = batch_on("wait", again)
        assert "final | final: goes on after epoch" in said
        assert f"{again}: done (final done)" in batch_on("status", again)
        assert "cancelled" in batch_on("status", name)
        batch_on("wait", "nobody", status=1)
    assert json.loads((folder / "detached" / "final" / "DONE").read_text())["epochs"] == 6
