"""A day of ten thousand events on the review page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.service.conftest import RunningApi
from tests.service.web.review_world import lanes
from tests.support.many_events import many_events
from tests.support.service import wait_for

SINCE = 1_777_852_800.0  # midnight in Greenwich
BATCH = 2000


@pytest.mark.exhaustive
def test_ten_thousand_events_are_listed_drawn_and_panned(visit: Callable[[str], Any], api: RunningApi):
    streams = [api.add(name=f"Camera {n}")["id"] for n in range(4)]
    messages = list(many_events(10_000, streams, SINCE, 86_000))
    for start in range(0, len(messages), BATCH):
        api.call(api.context.store.append(messages[start : start + BATCH]))
    page = visit("/review?all=1")
    page.locator("#lanes-note").get_by_text("10000 events, 0 of alerts").wait_for()
    assert page.locator("#inbox li").count() == 50
    page.keyboard.press("0")
    wait_for(lambda: lanes(page).end - lanes(page).start == 86_400, 10, "the whole day")
    there = lanes(page)
    for hour in range(23):
        assert there.coloured(SINCE + 3600 * hour, SINCE + 3600 * hour + 3600) > 200, f"hour {hour} has bars"
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowLeft")
    wait_for(lambda: lanes(page).start < there.end - 86_400 / 1.6 * 1.2, 10, "earlier")
