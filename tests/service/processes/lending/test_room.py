"""What other nodes get of a machine, and that its own streams come first."""

from __future__ import annotations

import pytest

from service.budget.budget import ComputeBudget, clip_work
from service.budget.ladder import HOPS_S
from service.budget.plan import StreamLoad
from service.processes.lending.room import Room


def people(count: float, settled: float = 0.0) -> StreamLoad:
    return StreamLoad(0.0, count, settled)


class Machine:
    """Leaves so much of its classifying thread's time."""

    def __init__(self, left: float | None) -> None:
        self.left = left

    def __call__(self) -> float | None:
        return self.left


def tenth(_: str) -> float:
    return 0.1


def test_an_idle_machine_gives_the_shortest_hops():
    terms = Room(Machine(0.9), tenth).terms(1, "m", people(3))
    assert (terms.granted, terms.hop_s, terms.settled_hop_s) == (True, *HOPS_S[0])


def test_all_loans_wait_longer_where_there_is_less_room():
    room = Room(Machine(0.9), tenth)
    alone = room.terms(1, "m", people(5))
    room.terms(2, "m", people(5))
    together = room.terms(1, "m", people(5))
    assert together == room.terms(2, "m", people(5))
    assert (alone.hop_s, together.hop_s) == (0.64, 1.3)


def test_a_loan_that_does_not_fit_is_refused_and_those_before_it_stay():
    room = Room(Machine(0.9), tenth)
    assert room.terms(1, "m", people(10)).granted
    refused = room.terms(2, "m", people(10))
    assert (refused.granted, refused.reason) == (False, "it has no room; a clip takes 0.1 s there")
    assert room.terms(1, "m", people(10)).granted
    room.leave(1)
    assert room.terms(2, "m", people(10)).granted


def test_the_newest_loan_goes_first_where_own_streams_need_the_machine():
    machine = Machine(0.9)
    room = Room(machine, tenth)
    assert all(room.terms(number, "m", people(4)).granted for number in (1, 2))
    machine.left = 0.4
    assert room.terms(1, "m", people(4)).granted
    assert not room.terms(2, "m", people(4)).granted
    assert len(room) == 1


def test_nothing_is_lent_while_own_streams_have_the_lighter_network():
    room = Room(Machine(None), tenth)
    assert room.terms(1, "m", people(0)).reason.startswith("its own cameras have the lighter network")


@pytest.mark.parametrize(("wall_s", "granted"), [(1.0, True), (1.3, False)])
def test_a_network_that_is_too_dear_for_one_person_is_not_lent(wall_s: float, granted: bool):
    """Also where nobody is in view yet."""
    assert Room(Machine(0.9), lambda _: wall_s).terms(1, "m", people(0)).granted is granted


def test_settled_people_ask_less():
    room = Room(Machine(0.9), tenth)
    assert not room.terms(1, "m", people(20)).granted
    assert room.terms(1, "m", people(20, settled=18)).granted


def test_budget_leaves_what_its_streams_do_not_need():
    budget = ComputeBudget(4, 640)
    budget.costs.observe(clip_work("m"), 0.05, 0.05)
    budget.observe_taken(3.9)  # others take the cores: without own streams that is nothing to the thread
    for _ in range(3):
        budget.plans()
    assert budget.spare() == pytest.approx(0.9)
    budget = ComputeBudget(4, 640, budget.costs)
    budget.join(1, "m")
    budget.observe_load(1, StreamLoad(10.0, 2.0))
    budget.plans()
    assert budget.spare() == pytest.approx(0.9 - 2 / 0.64 * 0.05)


def test_budget_leaves_nothing_once_its_streams_gave_way():
    clock = [0.0]
    budget = ComputeBudget(1, 640, clock=lambda: clock[0])
    budget.costs.observe(clip_work("full"), 3.0, 3.0)
    budget.costs.observe(clip_work("light"), 0.05, 0.05)
    budget.join(1, "full", "light")
    for clock[0] in (0.0, 1.0, 2.0, 3.0):
        budget.observe_load(1, StreamLoad(10.0, 2.0))
        budget.plans()
    assert budget.spare() is None
