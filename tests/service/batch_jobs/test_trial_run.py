"""A trial epoch by epoch: learnt, taken up, replayed, failed; without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.store.folder import FolderStore
from models.training.batch.trials import Progress, keep_progress, read_progress
from service.batch_jobs import trial_run
from service.batch_jobs.order import JobOrder, Look, Row
from service.batch_jobs.trial_run import ALL_EPOCHS, EARLY, TrialOrder, TrialRun

KEY = "trials/0003"


def row(epoch: int) -> Row:
    return {"epoch": float(epoch), "val_macro_f1": epoch / 10}


def look(epochs: int, status: int | None = None, complaint: str = "") -> Look:
    return Look(0, (), tuple(row(epoch) for epoch in range(1, epochs + 1)), status, complaint, "gpu-1")


class ScriptedProcess:
    """One look after the other, the last for ever."""

    def __init__(self, *looks: Look) -> None:
        self._looks = list(looks)
        self.ended = False

    def look(self, since: int) -> Look:
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    def end(self, timeout_s: float) -> None:
        self.ended = True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_run, "LOOK_S", 0.0)


def trial(folder: Path, *attempts: ScriptedProcess, epochs: int = 3, command: str = "") -> tuple[TrialRun, list[int]]:
    left, begun = list(attempts), []

    def begin(order: JobOrder, attempt: int) -> ScriptedProcess:
        begun.append(attempt)
        return left.pop(0)

    order = TrialOrder(3, KEY, JobOrder("trial-3", (), folder), epochs, attempts=3, command=command)
    return TrialRun(order, FolderStore(folder), begin), begun


def told(run: TrialRun) -> list[tuple[int, str]]:
    """Everything that it has to say."""
    found: list[tuple[int, str]] = []
    while not found or not found[-1][1]:
        each, ended = run.next()
        found.append((int(each["epoch"]) if each else 0, ended))
    return found


def test_epochs_come_one_by_one_and_the_last_once_the_network_is_kept(tmp_path: Path) -> None:
    run, begun = trial(tmp_path, ScriptedProcess(look(0), look(1), look(3), look(3), look(3, 0)))
    assert told(run) == [(1, ""), (2, ""), (3, ALL_EPOCHS)]
    assert begun == [1]
    assert read_progress(FolderStore(tmp_path), KEY) == Progress((row(1), row(2), row(3)), ALL_EPOCHS, attempts=1)


def test_training_that_stops_early_says_so(tmp_path: Path) -> None:
    run, _ = trial(tmp_path, ScriptedProcess(look(1), look(2), look(2, 0)))
    assert told(run) == [(1, ""), (2, ""), (0, EARLY)]


def test_trial_that_is_taken_up_tells_what_is_known_first_and_learns_no_epoch_twice(tmp_path: Path) -> None:
    keep_progress(FolderStore(tmp_path), KEY, Progress((row(1), row(2))))
    run, begun = trial(tmp_path, ScriptedProcess(look(0), look(3, 0)))
    assert run.next() == (row(1), "") and run.next() == (row(2), "")
    assert begun == []
    assert run.next() == (row(3), ALL_EPOCHS)
    assert begun == [1]


def test_trial_that_has_ended_is_only_told_of(tmp_path: Path) -> None:
    keep_progress(FolderStore(tmp_path), KEY, Progress((row(1), row(2)), EARLY))
    run, begun = trial(tmp_path)
    assert told(run) == [(1, ""), (2, EARLY)]
    assert begun == []


def test_job_that_was_done_before_tells_its_curve_from_the_store(tmp_path: Path) -> None:
    FolderStore(tmp_path).put_bytes(f"{KEY}/final/log.csv", b"epoch,val_macro_f1\n1,0.1\n2,0.2\n3,0.3\n")
    run, _ = trial(tmp_path, ScriptedProcess(look(0, 0)))
    assert told(run) == [(1, ""), (2, ""), (3, ALL_EPOCHS)]


def test_machine_that_goes_costs_an_attempt(tmp_path: Path) -> None:
    run, begun = trial(tmp_path, ScriptedProcess(look(1), look(1, 75)), ScriptedProcess(look(0), look(3), look(3, 0)))
    assert told(run) == [(1, ""), (2, ""), (3, ALL_EPOCHS)]
    assert begun == [1, 2]


def test_trial_that_fails_says_why_and_may_be_mended(tmp_path: Path) -> None:
    run, begun = trial(tmp_path, ScriptedProcess(look(1), look(1, 1, "warning\nactoscope: no weights")))
    assert told(run) == [(1, ""), (0, "failed: exit status 1 on gpu-1 actoscope: no weights")]
    assert begun == [1]
    mended, _ = trial(tmp_path, ScriptedProcess(look(0), look(3, 0)))
    assert told(mended) == [(1, ""), (2, ""), (3, ALL_EPOCHS)]


def test_attempts_are_used_up(tmp_path: Path) -> None:
    run, begun = trial(tmp_path, *(ScriptedProcess(look(0, -9)) for _ in range(3)))
    assert told(run) == [(0, "failed: ended by SIGKILL on gpu-1")]
    assert begun == [1, 2, 3]


def test_attempts_are_counted_over_machines_and_processes_alike(tmp_path: Path) -> None:
    """A machine that goes is a new actor of Tune's, which knows of the attempts before it by the store."""
    first, begun = trial(tmp_path, ScriptedProcess(look(0, 75)), ScriptedProcess(look(1)), command="a")
    assert first.next() == (row(1), "")
    assert begun == [1, 2]
    second, begun = trial(tmp_path, ScriptedProcess(look(1), look(1, -9)), command="a")
    assert told(second) == [(1, ""), (0, "failed: ended by SIGKILL on gpu-1")]
    assert begun == [3]


def test_trial_whose_machines_all_went_is_not_begun_again(tmp_path: Path) -> None:
    keep_progress(FolderStore(tmp_path), KEY, Progress((row(1),), "", "a", 3))
    run, begun = trial(tmp_path, command="a")
    assert told(run) == [(1, ""), (0, "failed: its machines went, in all 3 attempts")]
    assert begun == []


def test_command_that_is_typed_again_has_all_attempts_again(tmp_path: Path) -> None:
    keep_progress(FolderStore(tmp_path), KEY, Progress((row(1),), "failed: its machines went", "a", 3))
    run, begun = trial(tmp_path, ScriptedProcess(look(0), look(3, 0)), command="b")
    assert told(run) == [(1, ""), (2, ""), (3, ALL_EPOCHS)]
    assert begun == [1]


def test_trial_that_is_stopped_ends_its_process(tmp_path: Path) -> None:
    process = ScriptedProcess(look(1))
    run, _ = trial(tmp_path, process)
    run.next()
    run.stop()
    assert process.ended
