"""The compute budget on a virtual clock: what gives way, in which order, and when it comes back."""

from __future__ import annotations

import itertools

import pytest

from service.budget.budget import (
    FEATURE_WORK,
    POSE_WORK,
    ComputeBudget,
    clip_work,
    detect_work,
)
from service.budget.ladder import ENOUGH_HZ, LEAST_HZ, detections, ladder
from service.budget.plan import Plan, StreamLoad, Tier, TierChoice


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def budget(cores: float, detect_s: float = 0.135, light_s: float = 0.1, full_s: float = 3.6) -> ComputeBudget:
    """A machine whose other work takes a fifth of a core."""
    made = ComputeBudget(cores, 640, clock=Clock())
    made.costs.observe(detect_work(640), detect_s, detect_s)
    made.costs.observe(FEATURE_WORK, 0.005, 0.005)
    made.costs.observe(clip_work("light"), light_s, light_s)
    made.costs.observe(clip_work("full"), full_s, full_s)
    made.observe_taken(0.2)
    return made


def settle(made: ComputeBudget, loads: dict[str, StreamLoad], seconds: int = 60) -> dict[str, Plan]:
    """→ the plans after the loads have been told for so long."""
    plans: dict[str, Plan] = {}
    clock = made._clock
    for _ in range(seconds):
        clock.now += 1.0  # type: ignore[attr-defined]
        for stream, load in loads.items():
            made.observe_load(stream, load)
        plans = {str(stream): plan for stream, plan in made.plans().items()}
    return plans


def test_strong_machine_gives_everything_to_everybody():
    made = budget(32, detect_s=0.01, full_s=0.05)
    made.join("a", "full", "light")
    plan = settle(made, {"a": StreamLoad(25, 5)})["a"]
    assert (plan.tier, plan.hop_s, plan.image_size) == (Tier.FULL, 0.64, 640)
    assert plan.detections_per_s >= 25
    assert "everything fits" in plan.reason


def test_ladder_gives_way_in_the_order_of_the_promise():
    """Cheaper tier, then wider hop, then smaller input, then fewer detections; each step changes one thing."""
    order = ["tier", "hop_s", "image_size", "detections_per_s"]
    worst = {"tier": 0, "hop_s": 1, "image_size": 2, "detections_per_s": 3}
    seen: list[int] = []
    steps = ladder(640)
    for before, after in itertools.pairwise(steps[1:]):  # the first step only spares what nobody needs
        changed = [name for name in order if getattr(before, name) != getattr(after, name)]
        if before.settled_hop_s != after.settled_hop_s and not changed:
            changed = ["hop_s"]
        assert len(changed) == 1, (before, after)
        seen.append(worst[changed[0]])
    first_late = seen.index(3) + seen[seen.index(3) :].count(3)
    assert seen[:first_late] == sorted(seen[:first_late])
    assert min(step.detections_per_s for step in steps) == LEAST_HZ
    assert max(step.hop_s for step in steps) == 8.0
    assert len(set(steps)) == len(steps)


def test_two_old_cores_take_the_light_network_and_a_smaller_input_and_label_everybody_every_two_seconds():
    made = budget(2)
    made.join("a", "full", "light")
    plan = settle(made, {"a": StreamLoad(10, 5)})["a"]
    assert plan.tier is Tier.LIGHT
    assert plan.hop_s <= 1.5
    assert plan.detections_per_s >= 5
    assert "1 cameras, 5 people" in plan.reason


def test_detections_never_fall_under_three_a_second_while_one_core_can_do_them():
    made = budget(1, detect_s=0.3)
    for camera in range(2):
        made.join(str(camera), "full", "light")
    plans = settle(made, {str(camera): StreamLoad(25, 20) for camera in range(2)})
    assert {plan.detections_per_s for plan in plans.values()} == {LEAST_HZ}
    assert {plan.hop_s for plan in plans.values()} == {8.0}


def test_more_people_never_get_a_better_plan():
    steps = []
    for people in (1, 2, 5, 10, 20, 40):
        made = budget(2)
        made.join("a", "full", "light")
        settle(made, {"a": StreamLoad(10, people)})
        steps.append(made.step)
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]


def test_poses_get_what_is_left_and_are_the_first_to_go():
    """One camera of three people with a pose network of 0.1 s, on machines of other sizes and beside others' work."""
    rates = {}
    for cores in (8, 3, 2, 1):
        made = budget(cores, detect_s=0.03)
        made.costs.observe(POSE_WORK, 0.1, 0.1)
        made.join("gym", "full", "light", poses=True)
        plan = settle(made, {"gym": StreamLoad(25, 2)})["gym"]
        alone = budget(cores, detect_s=0.03)
        alone.join("gym", "full", "light")
        without = settle(alone, {"gym": StreamLoad(25, 2)})["gym"]
        rates[cores] = plan.poses_hz
        if plan.tier is without.tier:
            assert plan.detections_per_s == without.detections_per_s and plan.image_size == without.image_size, cores
        assert bool(plan.no_poses) is (plan.poses_hz == 0)
    assert rates[3] == 6.0 and rates[1] == 0.0, "a thread of its own has no time for ten of 0.1 s"
    assert list(rates.values()) == sorted(rates.values(), reverse=True)


def test_streams_that_want_no_poses_get_none_and_are_told_of_none():
    made = budget(8)
    made.join("gym", "full", "light", poses=True)
    made.join("gate", "full", "light")
    plans = settle(made, {"gym": StreamLoad(25, 1), "gate": StreamLoad(25, 1)})
    assert plans["gym"].poses_hz > 0 and (plans["gate"].poses_hz, plans["gate"].no_poses) == (0.0, "")


def test_work_of_others_counts_and_its_end_is_used_slowly():
    made = budget(2)
    made.join("a", "full", "light")
    settle(made, {"a": StreamLoad(10, 5)})
    free = made.step
    for _ in range(20):
        made.observe_taken(1.2)
    settle(made, {"a": StreamLoad(10, 5)}, 3)
    pressed = made.step
    assert pressed > free
    for _ in range(40):
        made.observe_taken(0.2)
    settle(made, {"a": StreamLoad(10, 5)}, 5)
    assert made.step == pressed, "it must not swing"
    settle(made, {"a": StreamLoad(10, 5)}, 60)
    assert made.step <= free + 1, "a step that just fitted needs some room to be taken again"


def test_one_odd_second_moves_nothing():
    made = budget(2)
    made.join("a", "full", "light")
    settle(made, {"a": StreamLoad(10, 3)})
    before = made.step
    settle(made, {"a": StreamLoad(10, 12)}, 1)
    settle(made, {"a": StreamLoad(10, 3)}, 8)
    assert made.step == before


def test_pinned_tier_is_kept_and_the_hop_gives_way_instead():
    made = budget(2)
    made.join("pinned", "full", "light", TierChoice.FULL)
    made.join("auto", "full", "light")
    plans = settle(made, {"pinned": StreamLoad(10, 2), "auto": StreamLoad(10, 2)})
    assert plans["pinned"].tier is Tier.FULL and plans["auto"].tier is Tier.LIGHT
    assert plans["pinned"].reason.startswith("pinned to full")
    assert plans["pinned"].hop_s > 1.0


def test_busy_classifying_thread_takes_no_detections_that_help_nobody():
    """The full network pinned on two cores: one thread classifies, the other core detects as well as it can."""
    made = budget(2, detect_s=0.03, full_s=0.24)
    made.join("a", "full", "light", TierChoice.FULL)
    plan = settle(made, {"a": StreamLoad(25, 5.6)})["a"]
    assert plan.tier is Tier.FULL and plan.hop_s > 1.0
    assert (plan.image_size, plan.detections_per_s) == (640, ENOUGH_HZ) and made.image_size == 640
    assert (made.view().plan.image_size, made.view().plan.detections_per_s) == (640, ENOUGH_HZ)
    slower = budget(2, detect_s=0.135, full_s=0.24)
    slower.join("a", "full", "light", TierChoice.FULL)
    less = settle(slower, {"a": StreamLoad(25, 5.6)})["a"]
    assert (less.image_size, less.detections_per_s) in detections(ladder(640))[1:], "what fits, and no more"
    assert less.detections_per_s >= LEAST_HZ
    hopeless = budget(2, detect_s=0.08, full_s=2.1)  # clips that no hop makes room for take their thread, not the other
    hopeless.join("a", "full", "light", TierChoice.FULL)
    last = settle(hopeless, {"a": StreamLoad(25, 5.6)})["a"]
    assert last.hop_s == 8.0 and last.detections_per_s >= 5.0 and last.image_size >= 416


def test_detections_that_were_given_back_do_not_swing_with_small_changes():
    made = budget(2, detect_s=0.06, full_s=0.24)
    made.join("a", "full", "light", TierChoice.FULL)
    settle(made, {"a": StreamLoad(25, 5.6)})
    seen = set()
    for people in (5.5, 5.7, 5.5, 5.7, 5.6):
        plan = settle(made, {"a": StreamLoad(25, people)}, 5)["a"]
        seen.add((plan.image_size, plan.detections_per_s))
    assert len(seen) == 1


def test_crowd_on_a_small_machine_gets_no_detections_back():
    made = budget(1, detect_s=0.2, light_s=0.1)
    made.join("a", "full", "light")
    plan = settle(made, {"a": StreamLoad(10, 20)})["a"]
    assert (plan.image_size, plan.detections_per_s) == (320, LEAST_HZ)


def test_network_without_a_lighter_one_is_said_and_its_hop_widens():
    made = budget(2)
    made.join("a", "full")
    plan = settle(made, {"a": StreamLoad(10, 5)})["a"]
    assert plan.tier is Tier.FULL
    assert "full has no lighter network" in plan.reason
    assert plan.hop_s == 8.0


def test_settled_people_are_cheaper():
    moving, still = budget(2, detect_s=0.05), budget(2, detect_s=0.05)
    for made in (moving, still):
        made.join("a", "full", "light")
    busy = settle(moving, {"a": StreamLoad(10, 9, settled=0)})["a"]
    calm = settle(still, {"a": StreamLoad(10, 9, settled=8)})["a"]
    assert calm.hop_s < busy.hop_s


def test_stream_that_left_asks_for_nothing():
    made = budget(2)
    for name in ("a", "b", "c"):
        made.join(name, "full", "light")
    loads = {name: StreamLoad(10, 5) for name in ("a", "b", "c")}
    settle(made, loads)
    three = made.step
    made.leave("b")
    made.leave("c")
    plans = settle(made, {"a": loads["a"]}, 90)
    assert set(plans) == {"a"} and made.step < three


@pytest.mark.parametrize(("full_s", "cores", "expected"), [(3.6, 2, False), (0.2, 2, True), (3.6, 64, False)])
def test_full_network_is_worth_loading_where_one_person_gets_it_every_second_or_two(
    full_s: float, cores: int, expected: bool
):
    """With 64 cores it is the one classifying thread that cannot: 3.6 s a clip on it."""
    assert budget(cores, detect_s=0.05, full_s=full_s).affords("full") is expected


def test_network_of_unknown_cost_is_tried():
    assert ComputeBudget(2, 640).affords("new")


def test_sizes_that_were_never_run_are_scaled_from_those_that_were():
    made = budget(2, detect_s=0.16)
    assert made._detection(320, 0).cpu_s == pytest.approx(0.04)
    made.costs.observe(detect_work(320), 0.05, 0.05)
    assert made._detection(320, 0).cpu_s == pytest.approx(0.05)


def test_smaller_configured_input_starts_lower():
    assert {step.image_size for step in ladder(416)} == {416, 320}
    assert {step.image_size for step in ladder(960)} == {960, 640, 480, 416, 320}


def test_stream_that_detects_less_often_than_planned_gets_shorter_hops_for_it():
    """Each detection takes it longer than its camera's interval, so what was planned for detections is left."""
    plans = []
    for stride in (1, 2):
        made = budget(1.6, detect_s=0.1)
        made.join("a", "full", "light")
        plans.append(settle(made, {"a": StreamLoad(10, 5, stride=stride)})["a"])
    all_of_them, every_second = plans
    assert every_second.hop_s < all_of_them.hop_s
    assert every_second.image_size == all_of_them.image_size  # the step is planned as if the stream kept up


def test_view_tells_the_rung_that_the_plans_stand_on():
    made = budget(2)
    made.join("a", "full", "light")
    made.join("b", "full", "light")
    plan = settle(made, {"a": StreamLoad(25, 5), "b": StreamLoad(25, 3)})["a"]
    view = made.view()
    assert (view.step, view.steps) == (made.step, len(ladder(640)))
    assert view.plan == plan
    assert (view.cores, view.cameras, round(view.people)) == (2, 2, 8)
    assert view.taken == pytest.approx(0.2)
    assert view.capacity == pytest.approx(2 * 0.95 - 0.2)
    assert 0 < view.need <= view.capacity
    assert set(view.costs) == {"detect:640", "feature", "clip:light", "clip:full"}
    assert f"{view.need:.1f} of {view.capacity:.1f} free cores" in plan.reason


def test_view_of_a_budget_without_streams_is_the_best_rung():
    view = budget(4).view()
    assert (view.step, view.cameras, view.people, view.need) == (0, 0, 0.0, 0.0)
