"""A version that is tried: it takes a small part of the worker's time, and gives way to everybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.counters import Measures
from service.engine import ModelUnavailable, Pictures
from service.processes.shadow_desk import MAX_WAITING, SHARE, ShadowDesk
from service.processes.version_messages import ShadowFailed
from tests.support.service import wait_for

CLIP = Pictures((np.zeros((2, 2, 3), np.uint8),), 0)


class ScriptedEngine:
    def __init__(self) -> None:
        self.measures = Measures()
        self.takes_s = self.loads_s = 0.0
        self.judged: list[str] = []
        self.unloaded: list[str] = []
        self.problem = ""
        self.while_loading: Callable[[], None] = lambda: None

    def classifier(self, name: str) -> Any:
        if self.problem:
            raise ModelUnavailable(self.problem)
        time.sleep(self.loads_s)
        self.while_loading()
        return type("Classifier", (), {"labels": ("a", "b")})

    def classify_beside(self, model: str, classifier: Any, clip: Pictures) -> Any:
        time.sleep(self.takes_s)
        self.judged.append(model)
        return np.array([0.5, 0.5], np.float32)

    def unload(self, name: str) -> None:
        self.unloaded.append(name)


class Stream:
    def __init__(self, number: int = 1) -> None:
        self.number, self.got = number, list[Any]()
        self.channel = self

    def send(self, message: Any) -> None:
        self.got.append(message)


class OneTurn(threading.Event):
    """Ends the work with the first pause that it asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        self.set()
        return True


class Bench:
    """A desk at work in a thread; ``busy`` says whether somebody's clip waits."""

    def __init__(self) -> None:
        self.engine, self.busy, self.failures = ScriptedEngine(), False, list[ShadowFailed]()
        self.desk = ShadowDesk(self.engine, lambda: self.busy, self.failures.append)  # type: ignore[arg-type]
        self.desk.pair({"gym": "gym@2"}, set)
        self.closed = threading.Event()
        self.stream = Stream()

    def start(self) -> None:
        threading.Thread(target=self.desk.work, args=(self.closed,), daemon=True).start()

    def offer(self, track_id: int, network: str = "gym") -> int:
        return self.desk.offer(self.stream, track_id, network, CLIP)  # type: ignore[arg-type]

    @property
    def dropped(self) -> float:
        return self.engine.measures.value("shadow_clips_dropped_total")


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.closed.set()


def test_clip_of_a_network_that_has_a_rival_is_judged_by_it_too(bench: Bench):
    bench.start()
    assert bench.offer(1, "other") == 0
    number = bench.offer(1)
    wait_for(lambda: bench.stream.got, 5, "an answer")
    (answer,) = bench.stream.got
    assert (answer.shadow, answer.model, answer.labels) == (number, "gym@2", ("a", "b"))
    assert bench.engine.measures.value("shadow_clips_total") == 1 and bench.dropped == 0


def test_clips_wait_in_a_bounded_queue_the_newest_of_each_track_and_those_left_out_are_counted(bench: Bench):
    for track_id in (1, 2, 1, 1):
        bench.offer(track_id)
    assert bench.dropped == 2
    for track_id in range(10, 10 + MAX_WAITING):
        bench.offer(track_id)
    assert bench.dropped == 4
    assert len(bench.desk._waiting) == MAX_WAITING


def test_clip_is_left_out_while_somebody_waits_for_a_label(bench: Bench):
    bench.busy = True
    bench.start()
    bench.offer(1)
    wait_for(lambda: bench.dropped == 1, 5, "it is dropped")
    assert bench.engine.judged == []
    bench.busy = False
    bench.offer(1)
    wait_for(lambda: bench.engine.judged, 5, "it is judged when there is time")


def test_it_takes_no_more_than_its_share_of_the_time(bench: Bench):
    """By the pause that it asks for after a clip, not by a clock beside it."""
    assert pause_after_a_clip(bench, takes_s=0.05) >= 0.05 * (1 / SHARE - 1)


def test_loading_the_network_is_no_part_of_its_share(bench: Bench):
    """Else a network that took half a minute to load would be tried on nothing for two."""
    assert pause_after_a_clip(bench, takes_s=0.0, loads_s=0.3) < 0.3


def pause_after_a_clip(bench: Bench, takes_s: float, loads_s: float = 0.0) -> float:
    closed = OneTurn()
    bench.engine.takes_s, bench.engine.loads_s = takes_s, loads_s
    bench.offer(1)
    bench.desk.work(closed)
    (pause,) = closed.pauses
    return pause


def test_network_that_cannot_be_tried_is_tried_no_more_and_said_so(bench: Bench):
    bench.engine.problem = "model 'gym@2' cannot be loaded: it is damaged"
    bench.start()
    bench.offer(1)
    wait_for(lambda: bench.failures, 5, "it is told")
    assert bench.failures == [ShadowFailed("gym@2", "model 'gym@2' cannot be loaded: it is damaged")]
    assert bench.offer(1) == 0


def test_network_that_is_tried_no_more_gives_its_memory_back_unless_it_serves_now(bench: Bench):
    bench.desk.pair({"gym": "gym@3"}, set)
    assert bench.engine.unloaded == ["gym@2"]
    bench.desk.pair({}, lambda: {"gym@3"})
    assert bench.engine.unloaded == ["gym@2"]


@pytest.mark.parametrize(("needed", "unloaded"), [(set[str](), ["gym@2", "gym@2"]), ({"gym@2"}, [])])
def test_trial_that_ends_while_its_network_loads_judges_nothing_and_leaves_nothing_loaded(
    bench: Bench, needed: set[str], unloaded: list[str]
):
    """Once for the trial's end, which may come before there is anything to unload, and once when it is there."""
    bench.engine.while_loading = lambda: bench.desk.pair({}, lambda: needed)
    bench.start()
    bench.offer(1)
    wait_for(lambda: not bench.desk._waiting and not bench.desk.networks, 5, "the trial is over")
    wait_for(lambda: bench.engine.unloaded == unloaded, 5, "its network's memory is given back")
    bench.closed.set()
    assert bench.engine.judged == [] and bench.stream.got == []
