"""Jobs that nobody waits for: told of, cancelled, given up; without Ray."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service.batch_jobs import conductor, director
from service.batch_jobs.conductor import Patience
from service.batch_jobs.director import CANCELLED, RUNNING, Account, Director
from service.batch_jobs.order import JobOrder
from service.batch_jobs.outcome import End
from tests.service.batch_jobs.test_conductor import ScriptedJob, ScriptedMachines, Step, look
from tests.support.service import wait_for


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "LOOK_S", 0.01)
    monkeypatch.setattr(director, "KEPT_S", 0.0)


def directed(scripts: dict[str, list[list[Step]]], *stages: tuple[str, ...]) -> tuple[Director, ScriptedMachines]:
    machines = ScriptedMachines(scripts)
    orders = [[JobOrder(name, ("batch",), Path("out")) for name in stage] for stage in stages]
    made = Director(machines, Patience(2, 60), orders)
    made.begin()
    return made, machines


def over(made: Director) -> Account:
    account: Account = wait_for(lambda: account if (account := made.look(0)).is_over else None, 10, "it is over")
    return account


def test_stages_follow_one_another_and_what_is_known_is_not_told_again():
    scripts: dict[str, list[list[Step]]] = {
        "fold-1": [[look("starts", status=0)]],
        "fold-2": [[look("starts", status=0)]],
        "reduce": [[look("all clips", status=0)]],
    }
    made, machines = directed(scripts, ("fold-1", "fold-2"), ("reduce",))
    account = over(made)
    assert (account.state, account.ends) == ("done", dict.fromkeys(scripts, End.DONE))
    assert [name for name, _, _ in machines.begun][-1] == "reduce"
    assert account.lines[-1] == "reduce | all clips"
    assert made.look(len(account.lines) - 1).lines == account.lines[-1:]
    assert made.look(len(account.lines)).lines == ()


@pytest.mark.parametrize(("status", "state"), [(1, "failed"), (75, "again")])
def test_stage_that_is_not_done_is_the_last(status: int, state: str):
    made, machines = directed(
        {"fold-1": [[look(status=status)], [look(status=status)]], "reduce": [[look(status=0)]]},
        ("fold-1",),
        ("reduce",),
    )
    assert over(made).state == state
    assert "reduce" not in [name for name, _, _ in machines.begun]


def test_jobs_that_are_cancelled_are_asked_to_stop_and_keep_what_they_have():
    made, machines = directed({"fold-1": [[look("epoch 1")]]}, ("fold-1",))
    wait_for(lambda: made.look(0).lines, 10, "it runs")
    assert made.look(0).state == RUNNING
    made.cancel()
    assert over(made).state == CANCELLED
    assert machines.begun[0][2].stopped and machines.begun[0][2].over


def test_what_goes_wrong_is_told_and_nothing_stays_for_ever():
    gone = threading.Event()

    class Broken(ScriptedMachines):
        def begin(self, order: JobOrder, attempt: int) -> ScriptedJob:
            raise RuntimeError("no such machine")

    made = Director(Broken({}), Patience(1, 1), [[JobOrder("a", (), Path("out"))]], gone.set)
    made.begin()
    assert over(made).state == "broken"
    assert made.look(0).lines[-1] == "given up: no such machine"
    assert gone.wait(10)


def test_of_very_many_lines_the_newest_stay(monkeypatch: pytest.MonkeyPatch):
    lines = tuple(str(number) for number in range(director.MOST_LINES + 10))
    made, _ = directed({"a": [[look(*lines, status=0)]]}, ("a",))
    account = over(made)
    assert (len(account.lines), account.first) == (director.MOST_LINES, 11)  # one more says where it runs
    assert account.lines[-1] == f"a | {lines[-1]}"
