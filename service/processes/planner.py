"""The compute budget at work in the inference process: fed once a second, and its plans told to the streams.

It also brings up the full networks behind the light ones: one is loaded when a stream is pinned to it or this machine
can afford it, measured where its cost is unknown, and given back where it turns out to be too dear.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from models.runtimes.host import host_facts
from service.budget.budget import ComputeBudget, clip_work
from service.budget.costs import CostsFile
from service.budget.machine import TakenCores, usable_cores
from service.budget.plan import BudgetView, Plan, StreamLoad, Tier, TierChoice
from service.engine import InferenceEngine, ModelUnavailable
from service.processes.inference_messages import Hello
from service.processes.nodes import NO_LOANS

log = logging.getLogger(__name__)

KEEP_EVERY = 60  # ticks between two writings of what was measured
RETRY_EVERY = 30  # ticks until a network that was too dear, or could not be loaded, is thought of again
OVERDUE_AFTER = 1800  # ticks: slow machines convert a full network in some minutes
PREPARE_NICENESS = 19


@dataclass
class _Member:
    """One stream that has joined."""

    model: str
    light: str
    choice: TierChoice
    tell: Callable[[Plan], None]
    no_poses: str = ""  # why joints cannot be found
    no_poses_ever: bool = False
    told: Plan | None = None


class Planner:
    """``tick`` about once a second from one thread; the rest from any."""

    def __init__(self, engine: InferenceEngine, budget: ComputeBudget | None = None) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._budget = budget or ComputeBudget(usable_cores(), engine.config.detector_image_size, engine.costs)
        self._file = CostsFile(engine.config.cache_dir, [*host_facts(), str(engine.config.threads)])
        self._budget.costs.start_from(self._file.read())
        self._taken = TakenCores()
        self._members: dict[int, _Member] = {}
        self._ticks = 0
        self._waits: dict[str, int] = {}  # network → tick from which on to try it again
        self._preparing: threading.Thread | None = None
        self.loans = NO_LOANS
        self.lent: Callable[[], set[str]] = set  # networks that other nodes' streams ask
        self._overdue_at = 0  # the tick at which what is prepared should have been there

    @property
    def step(self) -> int:
        """How far down the budget's ladder."""
        return self._budget.step

    @property
    def image_size(self) -> int:
        """The detector's input side on that step."""
        return self._budget.image_size

    def view(self) -> BudgetView:
        with self._lock:
            return self._budget.view()

    def join(self, number: int, hello: Hello, tell: Callable[[Plan], None], no_poses: str = "") -> None:
        """``no_poses``: why there are none yet for a stream that wants them."""
        poses = hello.poses and not no_poses
        with self._lock:
            self._members[number] = _Member(hello.model, hello.light, hello.tier, tell, no_poses)
            self._engine.keep((hello.model, hello.light))
            self._budget.join(number, hello.model, hello.light, hello.tier, poses)

    def poses_prepared(self, number: int, problem: str) -> None:
        """The pose network is there for a stream that waits for it; ``problem``: why it will not be."""
        with self._lock:
            member = self._members.get(number)
            if member is not None:
                member.no_poses, member.no_poses_ever = problem, bool(problem)
                self._budget.join(number, member.model, member.light, member.choice, not problem)

    def change(self, number: int, model: str, light: str) -> None:
        """A stream goes on with other networks; those that nobody asks any more are retired."""
        with self._lock:
            member = self._members.get(number)
            if member is None:
                return
            before = {member.model, member.light} - {""}
            member.model, member.light, member.told = model, light, None
            self._budget.change(number, model, light)
            self._engine.retire(before - self._networks())
            self._engine.keep((model, light))

    def networks(self) -> set[str]:
        """→ those that streams ask, loaded or not."""
        with self._lock:
            return self._networks()

    def _networks(self) -> set[str]:
        own = {name for member in self._members.values() for name in (member.model, member.light) if name}
        return own | self.lent()

    def leave(self, number: int) -> None:
        with self._lock:
            self._members.pop(number, None)
            self._budget.leave(number)

    def observe(self, number: int, load: StreamLoad) -> None:
        with self._lock:
            self._budget.observe_load(number, load)

    def tick(self) -> None:
        """Looks at the machine, plans, tells the streams, and brings up a network that is wanted and not there."""
        self._ticks += 1
        taken, measures = self._taken.update(), self._engine.measures
        with self._lock:
            if taken is not None:
                self._budget.observe_taken(taken)
            people = measures.value("people_detected_total")
            if people:
                self._budget.observe_features(measures.value("appearance_features_total") / people)
            plans = self._budget.plans()
            members = dict(self._members)
        for number, member in members.items():
            self._tell(number, member, plans[number])
        self._prepare(members)
        if self._ticks % KEEP_EVERY == 0:
            self.keep()

    def measure_first(self) -> None:
        """Before the first stream joins: what nobody has measured on this host yet, and keeps it at once."""
        before = len(self._budget.costs.known())
        self._engine.measure_first()
        if len(self._budget.costs.known()) > before:
            self.keep()

    def keep(self) -> None:
        """Writes what was measured, for the next start."""
        self._file.write(self._budget.costs)

    def spare(self) -> float | None:
        """→ what own streams leave of the classifying thread's time; None where they have the lighter network."""
        with self._lock:
            return self._budget.spare()

    def _tell(self, number: int, member: _Member, plan: Plan) -> None:
        if plan.tier is Tier.FULL and member.light and not self._engine.loaded(member.model):
            plan = replace(plan, tier=Tier.LIGHT, reason=f"{member.model} is being prepared")
        if member.no_poses:
            plan = replace(plan, poses_hz=0.0, no_poses=member.no_poses, no_poses_ever=member.no_poses_ever)
        if member.choice is not TierChoice.LIGHT:
            plan = self.loans.plan(number, plan.tier is Tier.LIGHT or not self._affords(member.model), plan)
        if plan != member.told:
            member.told = plan
            member.tell(plan)

    # -- full networks

    def _prepare(self, members: dict[int, _Member]) -> None:
        """One at a time, in a thread of its own."""
        if self._preparing is not None and self._preparing.is_alive():
            self._say_overdue(self._preparing.name)
            return
        for number, member in members.items():
            if member.light and not self.loans.instead(number) and self._wanted(member):
                bring_up = threading.Thread(target=self._bring_up, args=(member,), name=member.model, daemon=True)
                self._preparing = bring_up
                bring_up.start()
                self._overdue_at = self._ticks + OVERDUE_AFTER
                return

    def _say_overdue(self, model: str) -> None:
        """What never ends can only be ended with its process, and the lighter networks in it are worth more."""
        if self._ticks != self._overdue_at:
            return
        why = f"not there after {OVERDUE_AFTER // 60} minutes, and no other network is prepared; restart the service"
        log.error("%s is %s", model, why)
        self._engine.note(model, f"{why}, or pin the streams to the lighter network, which answers")

    def _wanted(self, member: _Member) -> bool:
        model = member.model
        if self._engine.loaded(model) or member.choice is TierChoice.LIGHT or self._ticks < self._waits.get(model, 0):
            return False
        if member.choice is TierChoice.FULL or self._affords(model):
            return True
        self._put_off(model)
        return False

    def _affords(self, model: str) -> bool:
        with self._lock:
            return self._budget.affords(model)

    def _bring_up(self, member: _Member) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PREPARE_NICENESS)
        model = member.model
        self._engine.note(model, "being prepared; the lighter network answers meanwhile")
        try:
            self._engine.classifier(model)
            self._engine.measure_clip(model)
        except (ModelUnavailable, ValueError, RuntimeError) as error:
            log.error("%s answers alone: %s", member.light, error)
            self._engine.note(model, str(error))
            self._waits[model] = self._ticks + RETRY_EVERY
            return
        self.keep()
        if member.choice is not TierChoice.FULL and not self._affords(model) and model not in self.lent():
            self._engine.unload(model)
            self._put_off(model)

    def _put_off(self, model: str) -> None:
        cost = self._budget.costs.of(clip_work(model))
        self._waits[model] = self._ticks + RETRY_EVERY
        if cost is not None:
            self._engine.note(model, f"not loaded: a clip takes {cost.cpu_s:.1f} CPU seconds on this machine")
