"""What several nodes tell, shown as one."""

from __future__ import annotations

from dataclasses import replace

from service.budget.plan import BudgetView, Plan
from service.cluster.together import budget, parts

QUIET = BudgetView(0, 4, Plan(reason="all is as it should be"), 2.0, 0.5, 1.5, 0.4, 1, 2.0)
BUSY = BudgetView(3, 4, Plan(hop_s=1.0, reason="8 cameras"), 4.0, 0.25, 3.0, 3.5, 8, 20.0)


def test_nobody_has_said_anything_or_one_node_alone():
    assert budget({}) is None
    assert budget({"yard-1": QUIET}) == QUIET


def test_sums_are_of_all_and_the_plan_is_that_of_the_node_that_gives_way_most():
    found = budget({"yard-1": BUSY, "gate-1": QUIET})
    assert found is not None
    assert (found.cores, found.taken, found.capacity, found.need) == (6.0, 0.75, 4.5, 3.9)
    assert (found.cameras, found.people) == (9, 22.0)
    assert (found.step, found.plan.hop_s, found.plan.reason) == (3, 1.0, "yard-1: 8 cameras")


def test_what_others_take_is_not_known_until_each_node_knows_it():
    found = budget({"yard-1": BUSY, "gate-1": replace(QUIET, taken=None)})
    assert found is not None and found.taken is None


def test_parts_are_named_as_on_one_machine_and_nodes_only_where_they_differ():
    gate = {"detector": "person OpenVINO bf16 on CPU 640", "model:gym": "OpenVINO"}
    assert parts({"gate-1": gate}) == gate
    assert parts({"gate-1": gate, "yard-1": gate}) == gate
    yard = {"detector": "person OpenVINO bf16 on CPU 640", "model:gym": "TensorFlow on GPU"}
    assert parts({"yard-1": yard, "gate-1": gate}) == {
        "detector": "person OpenVINO bf16 on CPU 640",
        "model:gym": "gate-1: OpenVINO; yard-1: TensorFlow on GPU",
    }
    assert parts({"yard-1": {}, "gate-1": gate})["model:gym"] == "gate-1: OpenVINO", "the other has not loaded it"
