"""Jobs that end, fail, go with their machine, or are stopped; without Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.batch_jobs import conductor
from service.batch_jobs.conductor import Conductor, MachineGone, Patience
from service.batch_jobs.order import JobOrder, Look
from service.batch_jobs.outcome import STATUS_AGAIN, End, end_of
from service.commands.exit_status import EXIT_AGAIN

Step = Look | Exception | None


def look(*lines: str, first: int = 0, status: int | None = None, complaint: str = "") -> Look:
    return Look(first, lines, (), status, complaint, "gpu-1")


@dataclass
class ScriptedJob:
    """Answers with one step after the other, the last one for ever."""

    steps: list[Step]
    stopped: bool = False
    over: bool = False

    def look(self, since: int) -> Look | None:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, BaseException):
            raise step
        return look(status=STATUS_AGAIN) if self.stopped else step

    def stop(self) -> None:
        self.stopped = True

    def end(self) -> None:
        self.over = True
        self.steps = [MachineGone("it has been ended")]


@dataclass
class ScriptedMachines:
    """Each attempt of a job by its own script."""

    scripts: dict[str, list[list[Step]]]
    begun: list[tuple[str, int, ScriptedJob]] = field(default_factory=list)

    def begin(self, order: JobOrder, attempt: int) -> ScriptedJob:
        job = ScriptedJob(self.scripts[order.name].pop(0))
        self.begun.append((order.name, attempt, job))
        return job


Run = Callable[[dict[str, list[list[Step]]]], tuple[dict[str, End], list[str], ScriptedMachines]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(conductor, "LOOK_S", 0.0)

    def conduct(scripts: dict[str, list[list[Step]]]) -> tuple[dict[str, End], list[str], ScriptedMachines]:
        said: list[str] = []
        machines = ScriptedMachines(scripts)
        orders = [JobOrder(name, ("batch", "run"), Path("out")) for name in scripts]
        ends = Conductor(machines, Patience(3, 3600), said.append).run(orders)
        assert all(job.over for _, _, job in machines.begun)
        return ends, said, machines

    return conduct


def test_jobs_run_side_by_side_and_what_they_print_is_told(run: Run) -> None:
    ends, said, _ = run(
        {
            "fold-1": [[None, look("starts"), look("epoch 1", first=1), look(first=2, status=0)]],
            "fold-2": [[look("starts", status=0)]],
        }
    )
    assert ends == {"fold-1": End.DONE, "fold-2": End.DONE}
    assert [line for line in said if line.startswith("fold-1")] == [
        "fold-1: attempt 1 on gpu-1",
        "fold-1 | starts",
        "fold-1 | epoch 1",
    ]


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (look(status=75, complaint="the store is away"), "exit status 75 on gpu-1:\nthe store is away; the next"),
        (look(status=-9), "ended by SIGKILL on gpu-1; the next"),
        (MachineGone("the actor died"), "gpu-1 is gone (the actor died); the next"),
    ],
)
def test_job_that_went_is_begun_again(run: Run, first: Step, why: str) -> None:
    ends, said, machines = run({"fold-1": [[look("starts"), first], [look("goes on", status=0)]]})
    assert ends == {"fold-1": End.DONE}
    assert [(name, attempt) for name, attempt, _ in machines.begun] == [("fold-1", 1), ("fold-1", 2)]
    assert any(why in line for line in said), said
    assert said[-2:] == ["fold-1: attempt 2 on gpu-1", "fold-1 | goes on"]


def test_job_that_fails_is_not_tried_again_and_the_others_go_on(run: Run) -> None:
    ends, said, machines = run(
        {"fold-1": [[look(status=1, complaint="no such data")]], "fold-2": [[None, None, look(status=0)]]}
    )
    assert ends == {"fold-1": End.FAILED, "fold-2": End.DONE}
    assert "fold-1: failed: exit status 1 on gpu-1:\nno such data" in said
    assert len(machines.begun) == 2


def test_attempts_are_used_up(run: Run) -> None:
    ends, said, _ = run({"fold-1": [[look(status=75)], [look(status=75)], [MachineGone("lost")]]})
    assert ends == {"fold-1": End.AGAIN}
    assert said[-1] == "fold-1: its machine is gone (lost); that was the last of 3 attempts"


def test_lines_that_were_left_out_are_counted(run: Run) -> None:
    _, said, _ = run({"fold-1": [[look("a"), look("z", first=9, status=0)]]})
    assert said[1:] == ["fold-1 | a", "fold-1: … 8 lines left out", "fold-1 | z"]


def test_ctrl_c_keeps_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    machines = ScriptedMachines({"fold-1": [[look("starts"), look(first=1)]], "fold-2": [[None]]})
    ticks = iter([None, None, KeyboardInterrupt()])

    def sleep(_: float) -> None:
        tick = next(ticks, None)
        if tick is not None:
            raise tick

    monkeypatch.setattr("service.batch_jobs.conductor.time.sleep", sleep)
    orders = [JobOrder(name, (), Path("out")) for name in ("fold-1", "fold-2")]
    with pytest.raises(KeyboardInterrupt):
        Conductor(machines, Patience(3, 3600), said.append).run(orders)
    (_, _, first), (_, _, second) = machines.begun
    assert first.stopped and first.over and second.over and not second.stopped
    assert said[-1].startswith("stopping: fold-1, fold-2")


def test_attempt_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "LOOK_S", 0.0)
    said: list[str] = []
    machines = ScriptedMachines({"fold-1": [[look("starts"), look(first=1)]]})
    ends = Conductor(machines, Patience(3, 0.0), said.append).run([JobOrder("fold-1", (), Path("out"))])
    assert ends == {"fold-1": End.FAILED}
    assert said[-1] == "fold-1: failed: not done within 0 s"


def test_exit_statuses_mean_what_aws_batch_is_told_they_mean() -> None:
    assert STATUS_AGAIN == EXIT_AGAIN
    assert [end_of(status) for status in (0, 75, 1, 2, -9, -15, -11)] == [
        End.DONE,
        End.AGAIN,
        End.FAILED,
        End.FAILED,
        End.AGAIN,
        End.AGAIN,
        End.FAILED,
    ]
