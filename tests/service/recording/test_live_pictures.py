"""Pictures without overlay for the live wall: when they are due and how large, and that the presenter sends them."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.entities import Frame, FrameResult, Image
from service.counters import Measures
from service.recording.live_pictures import FULL_WIDTH, SMALL_WIDTH, LivePictures
from service.recording.presenter import Presenter
from service.storage.segment import Segment
from tests.support.service import wait_for


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def sent_within(live: LivePictures, clock: Clock, seconds: float) -> int:
    """→ how many of 100 pictures a second are due."""
    count = 0
    for _ in range(round(100 * seconds)):
        clock.now += 0.01
        count += live.due()
    return count


def test_nothing_is_due_while_nobody_looks():
    clock = Clock()
    live = LivePictures(clock)
    assert sent_within(live, clock, 1) == 0
    live.watch(2.0, full=False)
    assert sent_within(live, clock, 2) > 0
    assert sent_within(live, clock, 2) == 0


@pytest.mark.parametrize(("full", "expected"), [(False, 10), (True, 20)])
def test_whoever_looks_closely_gets_twice_as_many(full: bool, expected: int):
    clock = Clock()
    live = LivePictures(clock)
    live.watch(2.0, full)
    assert abs(sent_within(live, clock, 2) - expected) <= 1


def test_picture_is_as_large_as_the_most_demanding_one_needs_it():
    clock = Clock()
    live = LivePictures(clock)
    image = np.zeros((1080, 2560, 3), np.uint8)
    live.watch(10.0, full=False)
    assert live.fitted(image).shape == (270, SMALL_WIDTH, 3)
    live.watch(5.0, full=True)
    assert live.fitted(image).shape == (810, FULL_WIDTH, 3)
    clock.now += 6
    assert live.fitted(image).shape == (270, SMALL_WIDTH, 3), "nobody looks closely any more"
    small = np.zeros((48, 64, 3), np.uint8)
    assert live.fitted(small) is small


class Heard:
    """The presenter's audience: what it heard."""

    def __init__(self) -> None:
        self.lives: list[tuple[Any, FrameResult]] = []
        self.pictures: list[Any] = []

    def picture(self, jpeg: Any) -> None:
        self.pictures.append(jpeg)

    def still(self, jpeg: Any) -> None:
        raise AssertionError("nobody wants a still")

    def live(self, jpeg: Any, result: FrameResult) -> None:
        self.lives.append((jpeg, result))

    def segment(self, segment: Segment) -> None:
        raise AssertionError("nothing is recorded")

    def trouble(self, reason: str) -> None:
        raise AssertionError(reason)

    def fail(self, reason: str) -> None:
        raise AssertionError(reason)


def result(image: Image, index: int) -> FrameResult:
    return FrameResult(Frame(image, index, index / 25, time.time(), time.monotonic()), ())


def test_presenter_sends_the_clean_picture_with_what_is_known_of_that_very_frame():
    heard = Heard()
    presenter = Presenter(heard, Measures(), buffer_size=lambda: 64)
    image = np.full((48, 64, 3), (200, 30, 30), np.uint8)
    presenter.show(result(image, 1), [])
    presenter.live.watch(30.0, full=True)
    presenter.show(result(image, 2), [])
    wait_for(lambda: heard.lives, 5, "the picture")
    presenter.close()
    (jpeg, told), *others = heard.lives
    assert told.frame.index == 2 and not others and not heard.pictures
    decoded = cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(decoded.astype(int) - image).max() < 12, "nothing is drawn into it"
