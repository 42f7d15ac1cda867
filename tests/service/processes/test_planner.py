"""The budget at work: plans told to streams, full networks brought up behind the light ones, costs kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.budget.budget import ComputeBudget, clip_work, detect_work
from service.budget.costs import Costs
from service.budget.plan import Plan, StreamLoad, Tier, TierChoice
from service.configuration import EngineConfig
from service.counters import Measures
from service.engine import InferenceEngine, ModelUnavailable
from service.processes.inference_messages import Hello
from service.processes.nodes import Loans
from service.processes.planner import OVERDUE_AFTER, RETRY_EVERY, Planner
from tests.support.service import wait_for


class ScriptedEngine:
    """Loads nothing; a clip of a network costs what the test says."""

    def __init__(self, cache_dir: Path, clip_s: dict[str, float]) -> None:
        self.config = SimpleNamespace(cache_dir=cache_dir, detector_image_size=640, threads=1)
        self.measures, self.costs = Measures(), Costs()
        self.clip_s = clip_s
        self.there: set[str] = {"light"}
        self.notes: dict[str, str] = {}
        self.loads: list[str] = []
        self.problem: str | None = None
        self.retired: set[str] = set()

    def loaded(self, name: str) -> bool:
        return name in self.there

    def classifier(self, name: str) -> None:
        self.loads.append(name)
        if self.problem is not None:
            raise ModelUnavailable(self.problem)
        self.there.add(name)

    def measure_clip(self, name: str) -> None:
        if self.costs.of(clip_work(name)) is None:
            self.costs.observe(clip_work(name), self.clip_s[name], self.clip_s[name])

    def unload(self, name: str) -> None:
        self.there.discard(name)

    def note(self, name: str, text: str) -> None:
        self.notes[name] = text

    def keep(self, names: Iterable[str]) -> None:
        self.retired -= set(names)

    def retire(self, names: Iterable[str]) -> None:
        self.retired |= set(names)


def planner_of(engine: ScriptedEngine, cores: float) -> Planner:
    budget = ComputeBudget(cores, 640, engine.costs)
    budget.costs.observe(detect_work(640), 0.01, 0.01)
    budget.costs.observe(clip_work("light"), 0.02, 0.02)
    return Planner(engine, budget)  # type: ignore[arg-type]


@pytest.fixture
def engine(tmp_path: Path) -> ScriptedEngine:
    return ScriptedEngine(tmp_path / "cache", {"full": 0.05})


def until(planner: Planner, condition: Callable[[], object]) -> None:
    """Ticks until it is so."""

    def ticked() -> object:
        planner.tick()
        return condition()

    wait_for(ticked, 10, "the condition after some ticks")


def test_light_network_answers_until_the_full_one_is_there(engine: ScriptedEngine):
    planner, told = planner_of(engine, 16), list[Plan]()
    planner.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), told.append)
    planner.observe(1, StreamLoad(10, 3))
    planner.tick()
    assert told[0].tier is Tier.LIGHT and told[0].reason == "full is being prepared"
    until(planner, lambda: told[-1].tier is Tier.FULL)
    assert engine.loads == ["full"]
    assert engine.costs.of(clip_work("full")) is not None


def test_full_network_that_never_comes_up_is_told_once_while_the_light_one_answers(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    may_end = threading.Event()
    monkeypatch.setattr(engine, "classifier", lambda name: may_end.wait(60))
    planner, told = planner_of(engine, 16), list[Plan]()
    planner.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), told.append)
    until(planner, lambda: "full" in engine.notes)
    assert engine.notes["full"].startswith("being prepared")
    for _ in range(2 * OVERDUE_AFTER):
        planner.tick()
    may_end.set()
    assert engine.notes["full"].startswith("not there after 30 minutes")
    assert sum("not there after 30 minutes" in record.message for record in caplog.records) == 1
    assert {plan.tier for plan in told} == {Tier.LIGHT}


def test_network_that_turns_out_too_dear_is_measured_once_and_given_back(engine: ScriptedEngine):
    engine.clip_s["full"] = 3.6
    planner, told = planner_of(engine, 2), list[Plan]()
    planner.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), told.append)
    until(planner, lambda: engine.loads and not engine.loaded("full") and "full" in engine.notes)
    for _ in range(2 * RETRY_EVERY):
        planner.tick()
    assert engine.loads == ["full"]
    assert {plan.tier for plan in told} == {Tier.LIGHT}
    wait_for(lambda: "3.6 CPU seconds" in engine.notes["full"], 5, "the note says why")


def test_what_was_measured_is_known_at_the_next_start(engine: ScriptedEngine):
    engine.clip_s["full"] = 3.6
    first = planner_of(engine, 2)
    first.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), lambda _: None)
    until(first, lambda: engine.loads and not engine.loaded("full"))
    first.keep()
    again = ScriptedEngine(engine.config.cache_dir, {})
    second = planner_of(again, 2)
    second.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), lambda _: None)
    for _ in range(5):
        second.tick()
        time.sleep(0.01)
    assert again.loads == []
    assert "not loaded" in again.notes["full"]


def test_pinned_network_is_loaded_and_kept_whatever_it_costs(engine: ScriptedEngine):
    engine.clip_s["full"] = 3.6
    planner, told = planner_of(engine, 2), list[Plan]()
    planner.join(1, Hello("str_1", "full", "light", TierChoice.FULL), told.append)
    until(planner, lambda: told and told[-1].tier is Tier.FULL)
    for _ in range(5):
        planner.tick()
    assert engine.loaded("full")


def test_stream_pinned_to_the_light_network_loads_no_other(engine: ScriptedEngine):
    planner, told = planner_of(engine, 16), list[Plan]()
    planner.join(1, Hello("str_1", "full", "light", TierChoice.LIGHT), told.append)
    for _ in range(5):
        planner.tick()
    assert engine.loads == [] and told[-1].tier is Tier.LIGHT


def test_network_that_cannot_be_loaded_is_told_and_tried_again_later_not_at_once(engine: ScriptedEngine):
    engine.problem = "model.keras is damaged"
    planner, told = planner_of(engine, 16), list[Plan]()
    planner.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), told.append)
    until(planner, lambda: engine.notes.get("full") == "model.keras is damaged")
    for _ in range(5):
        planner.tick()
    assert engine.loads == ["full"] and told[-1].tier is Tier.LIGHT
    engine.problem = None
    until(planner, lambda: engine.loaded("full"))


def test_plan_is_told_when_it_changes_only(engine: ScriptedEngine):
    planner, told = planner_of(engine, 16), list[Plan]()
    planner.join(1, Hello("str_1", "light", "", TierChoice.AUTO), told.append)
    planner._taken.update = lambda: 0.0  # type: ignore[method-assign]  # what this machine does now is no part of this
    for _ in range(5):
        planner.tick()
    assert len(told) == 1
    planner.leave(1)
    planner.tick()
    assert len(told) == 1


def test_stream_that_changes_its_networks_is_planned_for_the_new_ones_and_the_former_are_retired(
    engine: ScriptedEngine,
):
    engine.clip_s["full@2"] = 0.05
    engine.there |= {"full", "light@2"}
    planner, told = planner_of(engine, 16), list[Plan]()
    planner._budget.costs.observe(clip_work("light@2"), 0.02, 0.02)
    for number, name in ((1, "full"), (2, "full")):
        planner.join(number, Hello(f"str_{number}", name, "light", TierChoice.AUTO), told.append)
    planner.change(1, "full@2", "light@2")
    assert engine.retired == set(), "the other stream asks the former ones still"
    assert planner.networks() == {"full", "light", "full@2", "light@2"}
    planner.change(2, "full@2", "light@2")
    assert engine.retired == {"full", "light"}
    told.clear()
    until(planner, lambda: engine.loaded("full@2") and [plan.tier for plan in told[-2:]] == [Tier.FULL] * 2)
    assert any("full@2 is being prepared" in plan.reason for plan in told)


def test_stream_joins_and_plans_go_on_while_a_network_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It may take minutes; a planner that waited for it would be silent and the process be killed as hung."""
    begun, may_end = threading.Event(), threading.Event()

    def load(config: EngineConfig, name: str) -> SimpleNamespace:
        if name == "slow":
            begun.set()
            may_end.wait(60)
        return SimpleNamespace(runtime="scripted", stems=None, sees_scenes=True)

    for part in ("load_detector", "load_encoder"):
        monkeypatch.setattr(f"service.engine.{part}", lambda config: SimpleNamespace(description="scripted"))
    monkeypatch.setattr("service.engine.load_classifier", load)
    config = EngineConfig(tmp_path, tmp_path / "cache", model="gym", threads=1, stem_memory_mb=0)
    engine = InferenceEngine(config)
    planner = Planner(engine)
    loading = threading.Thread(target=engine.classifier, args=("slow",), daemon=True)
    done = threading.Event()

    def work() -> None:
        planner.join(1, Hello("str_1", "gym", "", TierChoice.AUTO), lambda plan: None)
        planner.change(1, "gym@2", "")
        planner.tick()
        planner.view()
        done.set()

    loading.start()
    assert begun.wait(10)
    threading.Thread(target=work, daemon=True).start()
    went_on = done.wait(10)
    may_end.set()
    loading.join(10)
    assert went_on
    engine.drop_retired()
    assert not engine.loaded("gym") and engine.loaded("slow"), "nobody asks the first any more"


class Elsewhere(Loans):
    """Another node classifies whatever this machine cannot."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bool, Tier]] = []
        self.certain = False

    def plan(self, number: int, short: bool, plan: Plan) -> Plan:
        self.asked.append((number, short, plan.tier))
        return replace(plan, tier=Tier.FULL, reason="elsewhere") if short else plan

    def instead(self, number: int) -> bool:
        return self.certain


def test_stream_that_this_machine_cannot_give_the_full_network_has_it_elsewhere(engine: ScriptedEngine):
    engine.clip_s["full"] = 9.0
    planner, told = planner_of(engine, 2), list[Plan]()
    planner.loans = loans = Elsewhere()
    planner.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), told.append)
    planner.join(2, Hello("str_2", "full", "light", TierChoice.LIGHT), lambda _: None)
    planner.observe(1, StreamLoad(10, 3))
    until(planner, lambda: "full" in engine.notes and "full" not in engine.there)
    planner.tick()
    assert (told[-1].tier, told[-1].reason) == (Tier.FULL, "elsewhere")
    assert loans.asked[-1] == (1, True, Tier.LIGHT)
    assert {number for number, _, _ in loans.asked} == {1}, "one that is pinned to the lighter network is not asked for"


def test_network_is_not_tried_here_where_another_node_has_it_for_certain(engine: ScriptedEngine):
    planner = planner_of(engine, 16)
    planner.loans = loans = Elsewhere()
    loans.certain = True
    planner.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), lambda _: None)
    for _ in range(5):
        planner.tick()
    assert engine.loads == []


def test_network_that_other_nodes_ask_stays_though_it_is_too_dear_for_own_streams(engine: ScriptedEngine):
    engine.clip_s["full"] = 9.0
    planner = planner_of(engine, 2)
    planner.lent = lambda: {"full"}
    planner.join(1, Hello("str_1", "full", "light", TierChoice.AUTO), lambda _: None)
    planner.observe(1, StreamLoad(10, 3))
    until(planner, lambda: "full" in engine.notes)
    assert "full" in engine.there
    assert "full" in planner.networks()
