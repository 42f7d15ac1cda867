"""The compute budget: who gets what of this machine, so that people keep their IDs and get their labels.

Pure logic on what it is told: what work costs here (``costs``), how many cores there are and what others take of them,
and what each stream asks. All streams stand on one step of a ladder, which gives way in this order when there is too
much work: more than ten detections a second, then the cheaper network, wider hops, a smaller detector input, fewer
detections (never under three a second, below which people lose their IDs), and at last hops of up to eight seconds.
What a rung leaves free shortens the hops again; on rungs of late hops it gives detections back, too: there it is often
the classifying thread that is busy (the full network, pinned), and fewer detections help nobody. The budget goes down
at once and comes up slowly, with room to spare, so that it does not swing.

Joints, for streams whose exercises are counted, get what the rung leaves: they are the first to go. But the full
network gives way to them, since the lighter one tells the same labels and nothing else can count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from service.budget.costs import Cost, Costs
from service.budget.ladder import ENOUGH_HZ, HOPS_S, LEAST_SIZE, SIZES, Step, detections, ladder
from service.budget.plan import POSES_HZ, BudgetView, Plan, StreamLoad, Tier, TierChoice

DETECT_S, FEATURE_S, LIGHT_S, FULL_S, POSE_S = 0.05, 0.005, 0.1, 1.0, 0.1  # until measured


@dataclass(frozen=True)
class BudgetConfig:
    """``usable``: share of the cores to plan with. ``thread_share``: how busy one thread may be planned to be."""

    usable: float = 0.95
    thread_share: float = 0.9
    up_room: float = 0.85  # a better step must fit into this part of what there is
    ease_room: float = 0.95  # shorter hops must fit into this part: they come and go at once, and nothing hangs on them
    up_after_s: float = 10.0
    down_after_s: float = 1.0
    time_constant_s: float = 4.0
    features_a_person: float = 0.35  # appearance features a person and detection, until counted


IDLE = StreamLoad(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Asked:
    """One stream: its networks, what somebody pinned, and its load. ``light`` "": there is none. ``poses``: wanted."""

    model: str
    light: str = ""
    choice: TierChoice = TierChoice.AUTO
    load: StreamLoad = IDLE
    poses: bool = False

    def tier(self, wanted: Tier) -> Tier:
        if not self.light:
            return Tier.FULL
        return wanted if self.choice is TierChoice.AUTO else Tier(self.choice.value)

    def network(self, tier: Tier) -> str:
        return self.light if tier is Tier.LIGHT else self.model


@dataclass(frozen=True, slots=True)
class Need:
    """Seconds a second: CPU of all threads; of the detecting, the classifying and the pose thread."""

    cpu: float = 0.0
    detecting: float = 0.0
    classifying: float = 0.0
    posing: float = 0.0

    def classifying_at_most(self, share: float) -> Need:
        """→ what is left for others to find where the classifying thread has more to do than it can."""
        over = max(0.0, self.classifying - share)
        return replace(self, cpu=self.cpu - over, classifying=self.classifying - over)

    def plus(self, other: Need) -> Need:
        return Need(
            self.cpu + other.cpu,
            self.detecting + other.detecting,
            self.classifying + other.classifying,
            self.posing + other.posing,
        )


def detect_work(image_size: int) -> str:
    return f"detect:{image_size}"


def clip_work(network: str) -> str:
    return f"clip:{network}"


FEATURE_WORK = "feature"
POSE_WORK = "pose"


class ComputeBudget:
    """Call ``plans`` about once a second. Not thread-safe, but for ``costs``."""

    def __init__(
        self,
        cores: float,
        image_size: int,
        costs: Costs | None = None,
        config: BudgetConfig = BudgetConfig(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.costs = costs or Costs()
        self._cores = cores
        self._image_size = image_size
        self._config = config
        self._clock = clock
        self._steps = ladder(image_size)
        self._at = 0
        self._streams: dict[Hashable, Asked] = {}
        self._taken: float | None = None
        self._features = config.features_a_person
        self._over_since: float | None = None
        self._room_since: float | None = None
        self._told_s: dict[Hashable, float] = {}
        self._poses_hz = 0.0
        self._detections: tuple[int, float] | None = None

    # -- what it is told

    def join(
        self,
        stream: Hashable,
        model: str,
        light: str = "",
        choice: TierChoice = TierChoice.AUTO,
        poses: bool = False,
    ) -> None:
        before = self._streams.get(stream, Asked(model))
        self._streams[stream] = replace(before, model=model, light=light, choice=choice, poses=poses)

    def change(self, stream: Hashable, model: str, light: str) -> None:
        """Other networks answer for it from now on."""
        if stream in self._streams:
            self._streams[stream] = replace(self._streams[stream], model=model, light=light)

    def leave(self, stream: Hashable) -> None:
        self._streams.pop(stream, None)
        self._told_s.pop(stream, None)

    def observe_load(self, stream: Hashable, load: StreamLoad) -> None:
        """Smoothed: people come and go, the plan should not."""
        asked = self._streams.get(stream)
        if asked is None:
            return
        now = self._clock()
        passed_s = now - self._told_s.get(stream, -math.inf)
        self._told_s[stream] = now
        share = 1.0 - math.exp(-passed_s / self._config.time_constant_s)
        old = asked.load
        self._streams[stream] = replace(
            asked,
            load=StreamLoad(
                load.frames_per_s,
                old.people + share * (load.people - old.people),
                old.settled + share * (load.settled - old.settled),
                load.stride,
            ),
        )

    def observe_taken(self, cores: float) -> None:
        """How many cores all other work took of late: cameras, recording, the API, other programs."""
        self._taken = cores if self._taken is None else self._taken + 0.25 * (cores - self._taken)

    def observe_features(self, a_person: float) -> None:
        """How many appearance features one detection of one person called for."""
        self._features += 0.05 * (a_person - self._features)

    # -- what it says

    def plans(self) -> dict[Hashable, Plan]:
        """→ a plan for every stream."""
        self._move()
        self._poses_hz = self._affordable_poses(self._steps[self._at])
        self._detections = self._affordable_detections()
        step = self._given()
        reason = self._reason(step)
        return {stream: self._plan(asked, step, reason) for stream, asked in self._streams.items()}

    def affords(self, network: str) -> bool:
        """Whether one person's clips, each 2 s, fit beside ten detections a second; True where the cost is unknown."""
        cost = self.costs.of(clip_work(network))
        if cost is None:
            return True
        hop_s = HOPS_S[-1][0]
        detecting = ENOUGH_HZ * 0.8 * self._detection(self._image_size, 1.0).cpu_s
        fits_cpu = cost.cpu_s / hop_s <= self._config.up_room * (self._capacity() - detecting)
        return fits_cpu and cost.wall_s / hop_s <= self._config.thread_share

    def spare(self) -> float | None:
        """→ parts of the classifying thread's time that the streams leave; None where they have the lighter network."""
        step = self._steps[self._at]
        if self._streams and step.tier is Tier.LIGHT:
            return None
        return max(0.0, self._config.thread_share - self._need(step).classifying)

    def view(self) -> BudgetView:
        """→ what it does now, as ``plans`` decided last."""
        step = self._given()
        given = step.tier, step.hop_s, step.settled_hop_s, step.image_size, step.detections_per_s
        return BudgetView(
            step=self._at,
            steps=len(self._steps),
            plan=Plan(*given, self._reason(step), self._poses_hz),
            cores=self._cores,
            taken=self._taken,
            capacity=max(0.0, self._capacity()),
            need=self._need(step).plus(self._posing(self._poses_hz)).cpu,
            cameras=len(self._streams),
            people=self._people,
            costs=self.costs.known(),
        )

    @property
    def _people(self) -> float:
        return sum(asked.load.people for asked in self._streams.values())

    @property
    def step(self) -> int:
        """How far down the ladder; 0: nobody gives way."""
        return self._at

    @property
    def image_size(self) -> int:
        """The detector's input side on this step."""
        return self._given().image_size

    def _plan(self, asked: Asked, step: Step, reason: str) -> Plan:
        tier = asked.tier(step.tier)
        hop_s, settled_hop_s = step.hop_s, step.settled_hop_s
        pinned = "" if asked.choice is TierChoice.AUTO or not asked.light else f"pinned to {tier.value}; "
        if not asked.light and step.tier is Tier.LIGHT:
            pinned = f"{asked.model} has no lighter network; "
        hz = self._poses_hz if asked.poses else 0.0
        why = "" if hz or not asked.poses else "no room for joints beside detection and labels on this machine"
        return Plan(tier, hop_s, settled_hop_s, step.image_size, step.detections_per_s, pinned + reason, hz, why)

    def _reason(self, step: Step) -> str:
        need, there = self._need(step), self._capacity()
        asks = f"{len(self._streams)} cameras, {self._people:.0f} people"
        costs = f"{need.cpu:.1f} of {max(there, 0.0):.1f} free cores"
        return f"{asks}: {costs}" if self._at else f"{asks}: everything fits ({costs})"

    def _move(self) -> None:
        now = self._clock()
        self._over_since = _since(self._over_since, now, not self._fits(self._steps[self._at], 1.0))
        if self._over_since is not None and now - self._over_since >= self._config.down_after_s:
            self._at = self._first(1.0, self._at + 1)
            self._over_since = self._room_since = None
            return
        better = self._first(self._config.up_room, 0)
        self._room_since = _since(self._room_since, now, better < self._at)
        if self._room_since is not None and now - self._room_since >= self._config.up_after_s:
            self._at, self._room_since = max(better, self._at - 3), None

    def _eased(self, step: Step) -> Step:
        """→ the step with the shortest hops that fit beside its detections, as many as the streams really have.

        A smaller input may have made room, or a stream detects less often than planned, since each takes it too long.
        """
        for hop_s, settled_hop_s in HOPS_S:
            easier = replace(step, hop_s=hop_s, settled_hop_s=settled_hop_s)
            wider = hop_s > step.hop_s or settled_hop_s > step.settled_hop_s
            need = self._need(easier, as_it_is=True).plus(self._posing(self._poses_hz))
            if not wider and self._within(need, self._config.ease_room):
                return easier
        return step

    def _given(self) -> Step:
        """→ the rung with what it leaves free: shorter hops, better detections."""
        step = self._eased(self._steps[self._at])
        if self._detections is None:
            return step
        image_size, rate = self._detections
        return replace(step, image_size=image_size, detections_per_s=rate)

    def _affordable_detections(self) -> tuple[int, float] | None:
        """→ the best input and rate that fit beside late hops; None on other rungs, where they gave way in need."""
        step = self._steps[self._at]
        if step.hop_s <= HOPS_S[-1][0]:
            return None
        hops = self._eased(step)
        for image_size, rate in detections(self._steps):
            now = (image_size, rate) == self._detections
            better = replace(hops, image_size=image_size, detections_per_s=rate)
            need = self._need(better).plus(self._posing(self._poses_hz))
            room = self._config.ease_room if now else self._config.up_room
            if self._within(need.classifying_at_most(self._config.thread_share * room), room):
                return image_size, rate
        return step.image_size, step.detections_per_s

    def _affordable_poses(self, step: Step) -> float:
        """→ of how many pictures a second of each stream joints can be found beside what the step gives, 0: of none."""
        for hz in POSES_HZ:
            room = self._config.up_room if hz > self._poses_hz else 1.0
            if self._within(self._need(step, as_it_is=True).plus(self._posing(hz)), room):
                return hz
        return 0.0

    def _posing(self, hz: float) -> Need:
        cost = self.costs.of(POSE_WORK) or Cost(POSE_S, POSE_S)
        rate = sum(min(hz, asked.load.frames_per_s) for asked in self._streams.values() if asked.poses)
        return Need(cpu=rate * cost.cpu_s, posing=rate * cost.wall_s)

    def _first(self, room: float, begin: int) -> int:
        """→ the best step from ``begin`` on that fits into ``room`` of what there is, else the last."""
        fitting = (at for at in range(begin, len(self._steps)) if self._fits(self._steps[at], room))
        return next(fitting, len(self._steps) - 1)

    def _fits(self, step: Step, room: float) -> bool:
        beside = self._posing(POSES_HZ[-1] if step.tier is Tier.FULL and self._lighter else 0.0)
        return self._within(self._need(step).plus(beside), room)

    @property
    def _lighter(self) -> bool:
        """Whether any stream has a lighter network to give way to."""
        return any(asked.light for asked in self._streams.values())

    def _within(self, need: Need, room: float) -> bool:
        limit = self._config.thread_share * room
        threads = need.detecting, need.classifying, need.posing
        return need.cpu <= self._capacity() * room and max(threads) <= limit

    def _capacity(self) -> float:
        """Cores for detection and classification."""
        taken = 0.25 * len(self._streams) if self._taken is None else self._taken
        return self._cores * self._config.usable - taken

    def _need(self, step: Step, as_it_is: bool = False) -> Need:
        """``as_it_is``: with the stride that each stream has now, else with as many detections as the step allows."""
        need = Need()
        for asked in self._streams.values():
            stride = asked.load.stride if as_it_is else 1
            need = need.plus(self._need_of(asked, step, asked.load.frames_per_s / stride))
        return need

    def _need_of(self, asked: Asked, step: Step, detections_per_s: float) -> Need:
        load = asked.load
        rate = min(detections_per_s, step.detections_per_s)
        detection = self._detection(step.image_size, load.people)
        clip = self._clip(asked, asked.tier(step.tier))
        settled = min(load.settled, load.people)
        clips = (load.people - settled) / step.hop_s + settled / step.settled_hop_s
        return Need(rate * detection.cpu_s + clips * clip.cpu_s, rate * detection.wall_s, clips * clip.wall_s)

    def _detection(self, image_size: int, people: float) -> Cost:
        """One frame with its people's features; sizes that were never run are scaled from those that were."""
        known = {size: cost for size in _sizes(self._image_size) if (cost := self.costs.of(detect_work(size)))}
        if image_size in known:
            cost = known[image_size]
        elif known:
            near = min(known, key=lambda size: abs(math.log(size / image_size)))
            cost = known[near].scaled((image_size / near) ** 2)
        else:
            cost = Cost(DETECT_S, DETECT_S).scaled((image_size / 640) ** 2)
        feature = self.costs.of(FEATURE_WORK) or Cost(FEATURE_S, FEATURE_S)
        features = self._features * people
        return Cost(cost.cpu_s + features * feature.cpu_s, cost.wall_s + features * feature.wall_s)

    def _clip(self, asked: Asked, tier: Tier) -> Cost:
        guess = LIGHT_S if tier is Tier.LIGHT else FULL_S
        return self.costs.of(clip_work(asked.network(tier))) or Cost(guess, guess)


def _since(before: float | None, now: float, holds: bool) -> float | None:
    """→ since when something holds, None while it does not."""
    if not holds:
        return None
    return now if before is None else before


def _sizes(image_size: int) -> Sequence[int]:
    return tuple(dict.fromkeys((image_size, *SIZES, LEAST_SIZE)))
