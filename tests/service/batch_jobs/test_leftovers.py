"""What jobs leave on their machine, and for how long."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.training.batch.share import Share
from service.batch_jobs.leftovers import KEPT, KEPT_S, clear, sweep, working
from service.batch_jobs.scratch import Scratch
from tests.support.places import REPOSITORY

NOW = 1_800_000_000.0


def left(root: Path, run: str, share: Share, age_s: float = 0.0) -> tuple[Scratch, Path]:
    """→ a job's scratch, and the folder of its log and states, as old as that."""
    scratch = Scratch(root, root.parent / run)
    folder = scratch.runs / share.name
    folder.mkdir(parents=True)
    scratch.log(share).write_text("epoch,loss\n")
    for each in (scratch.log(share), folder):
        os.utime(each, (NOW - age_s, NOW - age_s))
    return scratch, folder


def test_what_a_job_that_is_done_has_left_goes_and_the_rest_stays(tmp_path: Path) -> None:
    root = tmp_path / "batch"
    scratch, folder = left(root, "a", Share())
    other = scratch.runs / "fold-2"
    other.mkdir()
    model = scratch.model("gym")
    for kept in (model, scratch.features, scratch.data("0" * 64)):
        kept.mkdir(parents=True)
    clear(scratch, Share(), "gym")
    assert not folder.exists() and not model.exists()
    assert other.exists() and scratch.features.exists() and scratch.data("0" * 64).exists()


def test_fold_that_is_done_leaves_nothing_not_even_its_folder(tmp_path: Path) -> None:
    share = Share(1, 3)
    scratch, _ = left(tmp_path / "batch", "a", share)
    with working(scratch, share):
        pass
    clear(scratch, share, "gym")
    assert list((tmp_path / "batch" / "runs").iterdir()) == []


def test_jobs_that_are_not_done_stay_for_a_while(tmp_path: Path) -> None:
    root = tmp_path / "batch"
    _, old = left(root, "old", Share(), KEPT_S + 60)
    _, young = left(root, "young", Share(), KEPT_S - 60)
    sweep(root, NOW)
    assert (old.exists(), young.exists()) == (False, True)


def test_of_many_jobs_that_are_not_done_the_newest_stay(tmp_path: Path) -> None:
    root = tmp_path / "batch"
    folders = [left(root, f"run-{number}", Share(0, 2), 60.0 * number)[1] for number in range(KEPT + 3)]
    sweep(root, NOW)
    assert [folder.exists() for folder in folders] == [True] * KEPT + [False] * 3


def test_model_that_was_never_uploaded_goes_with_age_too(tmp_path: Path) -> None:
    root = tmp_path / "batch"
    model = Scratch(root, tmp_path / "a").model("gym")
    model.mkdir(parents=True)
    os.utime(model, (NOW - 2 * KEPT_S, NOW - 2 * KEPT_S))
    sweep(root, NOW)
    assert not model.exists()


def test_what_another_process_works_with_stays(tmp_path: Path) -> None:
    root = tmp_path / "batch"
    scratch, folder = left(root, "a", Share(), 2 * KEPT_S)
    code = (
        "import sys\nfrom pathlib import Path\nfrom models.training.batch.share import Share\n"
        "from service.batch_jobs.leftovers import working\nfrom service.batch_jobs.scratch import Scratch\n"
        f"with working(Scratch(Path({str(root)!r}), Path({str(tmp_path / 'a')!r})), Share()):\n"
        "    print('works', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"works\n"
        sweep(root, NOW)
        clear(scratch, Share(), "gym")
        assert folder.exists()
        process.stdin.close()
        process.wait(30)
    sweep(root, NOW)
    assert not folder.exists()


def test_folder_that_cannot_be_emptied_is_said_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left(tmp_path / "batch", "a", Share(), 2 * KEPT_S)

    def refused(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("service.batch_jobs.leftovers.fcntl.flock", refused)
    sweep(tmp_path / "batch", NOW)
    assert "stays: [Errno 30]" in caplog.text


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    """Somebody works in a folder that has ``runs`` of another kind."""
    other = tmp_path / "runs" / "surveillance" / "fold-1"
    other.mkdir(parents=True)
    os.utime(other, (NOW - 2 * KEPT_S, NOW - 2 * KEPT_S))
    sweep(tmp_path, NOW)
    assert other.exists()


def test_lock_that_was_taken_away_while_it_was_waited_for_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, folder = left(tmp_path / "batch", "a", Share(), 2 * KEPT_S)
    lock, waited = folder.parent / f".{Share().name}.lock", fcntl.flock

    def slow(descriptor: int, how: int) -> None:
        """Somebody had it until now, and tidied up."""
        monkeypatch.setattr("service.batch_jobs.leftovers.fcntl.flock", waited)
        lock.unlink()
        waited(descriptor, how)

    monkeypatch.setattr("service.batch_jobs.leftovers.fcntl.flock", slow)
    with working(scratch, Share()):
        sweep(tmp_path / "batch", NOW)
        assert folder.exists()
