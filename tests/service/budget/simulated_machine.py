"""A machine in virtual time: the real straight line, tracker, buffers, turns, scheduler and budget over recorded
detections, with scripted costs in place of networks. Deterministic, and no second of it is real.

Detection comes first; the one classifying thread gets what it leaves of the cores. Each camera's ``run_stream`` runs in
a greenlet, which waits in virtual time where a real one would wait for the worker or for the next picture.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import greenlet  # type: ignore[import-untyped]  # comes with SQLAlchemy and playwright
import numpy as np

from pipeline.actions import ActionSmoother
from pipeline.clips import ClipConfig
from pipeline.entities import ActionScores, Clip, Detections, Floats, Frame, FrameResult, TrackState
from pipeline.form.watch import TimedPoses
from pipeline.stride import StrideController
from pipeline.tracker import PersonTracker, TrackerConfig
from service.budget.budget import ComputeBudget, clip_work, detect_work
from service.budget.plan import UNPLANNED, Plan, StreamLoad, TierChoice
from service.budget.tiered_clips import TieredClips
from service.processes.scheduler import ClipScheduler
from service.stream import Stages, run_stream

LABELS = ("Standing", "Walking")
FULL = ClipConfig(length=64, hop=16, rate_hz=25.0, provisional_from=12, size=8)
LIGHT = ClipConfig(length=16, hop=4, rate_hz=6.25, provisional_from=3, size=8)
WIDTH, HEIGHT, SCALE = 768, 576, 8  # of the recording; frames are this much smaller, since nobody looks at them
_RECORDED = np.load(Path(__file__).with_name("street_detections.npz"))


@dataclass(frozen=True)
class Costs:
    """CPU seconds of one piece of work on the machine that is played; ``detect_s`` at 640 pixels."""

    detect_s: float = 0.135
    light_s: float = 0.1
    full_s: float = 3.6


@dataclass(frozen=True)
class Scene:
    """``copies`` recordings side by side, or a part of one: about seven people each."""

    copies: float = 1.0
    fps: float = 10.0
    seconds: float = 60.0


@dataclass
class Outcome:
    """What a viewer saw of one camera. ``ages_s``: of each label shown."""

    ids: set[int] = field(default_factory=set)
    shown: int = 0  # boxes of people in view for over three seconds
    labelled: int = 0
    ages_s: list[float] = field(default_factory=list)
    detections: int = 0
    models: dict[str, int] = field(default_factory=dict)
    unconfirmed: int = 0  # most detections that a person in view stayed without an ID that counts

    @property
    def share(self) -> float:
        return self.labelled / max(1, self.shown)

    def age_s(self, quantile: float) -> float:
        return float(np.quantile(self.ages_s, quantile)) if self.ages_s else math.inf


class Machine:
    """Virtual time and cores. ``run`` until every camera has come to its end."""

    def __init__(self, cores: float, costs: Costs = Costs(), taken: float = 0.2, choice: TierChoice = TierChoice.AUTO):
        self.cores, self.costs, self.taken, self.choice = cores, costs, taken, choice
        self.now = 0.0
        self.budget = ComputeBudget(cores, 640, clock=self.clock)
        self.budget.costs.observe(detect_work(640), costs.detect_s, costs.detect_s)
        self.budget.costs.observe(clip_work("light"), costs.light_s, costs.light_s)
        self.budget.costs.observe(clip_work("full"), costs.full_s, costs.full_s)
        self.scheduler = ClipScheduler(self.clock)
        self.cameras: list[Camera] = []
        self.plans: list[Plan] = []  # the first camera's, each time it changed
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()
        self._hub = greenlet.getcurrent()
        self._detector_free_s = 0.0
        self._classified_s: float | None = None  # when the clip at work is done

    def clock(self) -> float:
        return self.now

    def watch(self, scene: Scene) -> Camera:
        camera = Camera(self, len(self.cameras), scene)
        self.cameras.append(camera)
        self.budget.join(camera.number, "full", "light", self.choice)
        return camera

    def run(self) -> None:
        for camera in self.cameras:
            self.at(0.0, greenlet.greenlet(camera.run).switch)
        self.at(1.0, self._tick)
        while self._events and not all(camera.over for camera in self.cameras):
            self.now, _, act = heapq.heappop(self._events)
            act()

    def at(self, time_s: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._events, (max(time_s, self.now), next(self._number), act))

    def sleep_until(self, time_s: float) -> None:
        """Called from a camera's greenlet."""
        self.at(time_s, greenlet.getcurrent().switch)
        self._hub.switch()

    def detect(self, people: int, image_size: int) -> None:
        """Waits for its turn and its end; a classification that has no core of its own meanwhile waits, too."""
        took = self.costs.detect_s * (image_size / 640) ** 2 + 0.002 * people
        begin = max(self.now, self._detector_free_s)
        self._detector_free_s = begin + took
        if self._classified_s is not None:
            self._classified_s += took * min(1.0, max(0.0, 2.0 - (self.cores - self.taken)))
        self.budget.costs.observe(detect_work(image_size), took, took)
        self.sleep_until(self._detector_free_s)

    def offer(self, camera: Camera, clip: Clip, gain: float) -> None:
        self.scheduler.offer((camera.number, clip.track_id), clip.model, gain)
        if self._classified_s is None:
            self._classify_next()

    def _classify_next(self) -> None:
        _, keys = self.scheduler.take(lambda _: 1, timeout_s=0)
        clip = self.cameras[keys[0][0]].waiting.pop(keys[0][1], None) if keys else None
        if clip is None:
            self._classified_s = None
            return
        took = self.costs.full_s if clip.model == "full" else self.costs.light_s
        self._classified_s = self.now + took / min(1.0, max(0.1, self.cores - self.taken))
        self._look_at(clip, self.cameras[keys[0][0]])

    def _look_at(self, clip: Clip, camera: Camera) -> None:
        """The end moves away while detections come between."""
        end = self._classified_s or self.now
        self.at(end, lambda: self._done(clip, camera, end))

    def _done(self, clip: Clip, camera: Camera, end: float) -> None:
        if self._classified_s is not None and self._classified_s > end:
            self._look_at(clip, camera)
            return
        camera.scores.append(ActionScores.of(clip, LABELS, np.array([0.1, 0.9], np.float32)))
        self._classify_next()

    def _tick(self) -> None:
        self.budget.observe_taken(self.taken)
        for camera in self.cameras:
            self.budget.observe_load(camera.number, camera.load())
        for number, plan in self.budget.plans().items():
            self.cameras[int(str(number))].told = plan
        if not self.plans or _gives(self.plans[-1]) != _gives(self.cameras[0].told):
            self.plans.append(self.cameras[0].told)
        self.at(self.now + 1.0, self._tick)


def _gives(plan: Plan) -> tuple[object, ...]:
    return plan.tier, plan.hop_s, plan.settled_hop_s, plan.image_size, plan.detections_per_s


class Camera:
    """One camera with its straight line; plays ``Inference`` and ``Sink`` for it."""

    def __init__(self, machine: Machine, number: int, scene: Scene) -> None:
        self.machine, self.number, self.scene = machine, number, scene
        self.told = UNPLANNED
        self.waiting: dict[int, Clip] = {}
        self.scores: list[ActionScores] = []
        self.outcome = Outcome()
        self.over = False
        self._first_seen: dict[int, float] = {}
        self._tentative: dict[int, int] = {}
        self._result: FrameResult | None = None
        self._stages = Stages(
            tracker=PersonTracker(TrackerConfig.starting_at(0.3)),
            clips=TieredClips("full", FULL, "light", LIGHT),
            smoother=ActionSmoother(),
            stride=StrideController(),
            clock=machine.clock,
        )

    def run(self) -> None:
        run_stream(self._frames(), self, self._stages, self)
        self.over = True

    def load(self) -> StreamLoad:
        tracks = () if self._result is None else self._result.tracks
        people = sum(track.state is TrackState.CONFIRMED for track in tracks)
        return StreamLoad(self.scene.fps, people, min(people, self._stages.turns.settled), self._stages.stride.stride)

    def _frames(self) -> Iterator[Frame]:
        """A live camera: whoever comes late gets the newest picture, the others are lost."""
        width = math.ceil(WIDTH * max(1.0, self.scene.copies)) // SCALE
        image = np.zeros((HEIGHT // SCALE, width, 3), np.uint8)
        index = 0
        while index < self.scene.seconds * self.scene.fps:
            index = max(index, int(self.machine.now * self.scene.fps + 1e-9))
            if self.machine.now < index / self.scene.fps:
                self.machine.sleep_until(index / self.scene.fps)
            yield Frame(image, index, index / self.scene.fps, 0.0, self.machine.now)
            index += 1

    # -- Inference

    def plan(self) -> Plan:
        return self.told

    def detect(self, frame: Frame, expected_xyxy: Floats) -> Detections | None:
        found = recorded(frame.time_s, self.scene.copies)
        self.machine.detect(len(found), self.told.image_size or 640)
        self.outcome.detections += 1
        return found

    def ask_poses(self, frame: Frame) -> None: ...

    def take_poses(self) -> list[TimedPoses]:
        return []

    def submit(self, clip: Clip, gain: float = 1.0) -> None:
        self.waiting[clip.track_id] = clip
        self.machine.offer(self, clip, gain)

    def take(self) -> list[ActionScores]:
        scores, self.scores = self.scores, []
        return scores

    def finish(self) -> None: ...

    # -- Sink

    def publish(self, result: FrameResult) -> None:
        self._result = result
        time_s, outcome = result.frame.time_s, self.outcome
        for track in result.tracks:
            if track.state is not TrackState.CONFIRMED:
                if result.detected and track.coasting_s == 0:
                    self._tentative[track.track_id] = self._tentative.get(track.track_id, 0) + 1
                continue
            outcome.ids.add(track.track_id)
            first_s = self._first_seen.setdefault(track.track_id, time_s)
            label = result.labels.get(track.track_id)
            if time_s - first_s > 3.0:
                outcome.shown += 1
                outcome.labelled += label is not None
            if label is not None:
                outcome.ages_s.append(self.machine.now - label.end_s)
                outcome.models[label.model] = outcome.models.get(label.model, 0) + 1
        outcome.unconfirmed = max(self._tentative.values(), default=0)

    def publish_events(self, events: object, frame: Frame) -> None: ...


def recorded(time_s: float, copies: float) -> Detections:
    """The street at a time, forward and backward for ever; ``copies`` of it side by side, or its left part."""
    counts = _RECORDED["counts"].astype(int)
    place = round(time_s * 10) % (2 * len(counts) - 2)
    place = min(place, 2 * len(counts) - 2 - place)
    begin = int(counts[:place].sum())
    boxes = _RECORDED["boxes"][begin : begin + counts[place]].astype(np.float32) / SCALE
    sure = _RECORDED["confidences"][begin : begin + counts[place]].astype(np.float32)
    if copies < 1:
        left = boxes[:, 2] < WIDTH * copies / SCALE
        return Detections(boxes[left], sure[left])
    shifts = [np.array([copy * WIDTH / SCALE, 0] * 2, np.float32) for copy in range(int(copies))]
    return Detections(np.concatenate([boxes + shift for shift in shifts]), np.tile(sure, len(shifts)))


def played(scene: Scene, cores: float, costs: Costs = Costs(), cameras: int = 1, **options: object) -> Machine:
    """→ the machine after it watched ``cameras`` such scenes."""
    machine = Machine(cores, costs, **options)  # type: ignore[arg-type]
    for _ in range(cameras):
        machine.watch(scene)
    machine.run()
    return machine
