"""The pages of the review as axe-core sees them, full of what they show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.service.conftest import RunningApi
from tests.service.web.review_world import Told, gate, shown_event
from tests.service.web.test_console import serious_findings
from tests.support.service import wait_for

EVENTS = (Told("evt_1", 3, 5), Told("evt_2", 6, 8, "squat", 8), Told("evt_3", 7, 9, "playing cricket", 9))


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("dark", 1440),
        pytest.param("light", 1440, marks=pytest.mark.exhaustive),
        pytest.param("light", 390, marks=pytest.mark.exhaustive),
        pytest.param("dark", 390, marks=pytest.mark.exhaustive),
    ],
)
def test_axe_finds_nothing_serious(browser: Any, api: RunningApi, scheme: str, width: int):
    api.client.post("/v1/rules", json={"name": "Push ups", "actions": {"push up": 0.5}})
    gate(api, *EVENTS)
    (incident,) = wait_for(lambda: api.client.get("/v1/incidents").json()["items"], 10, "an incident")
    api.client.put("/v1/events/evt_1/verdict", json={"verdict": "wrong", "label": "squat"})
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    found: dict[str, list[str]] = {}

    def look(name: str, path: str, there: str, prepare: Callable[[], None] = lambda: None) -> None:
        page.goto(f"{api.url}{path}")
        page.locator(there).first.wait_for()
        prepare()
        found[name] = serious_findings(page)

    def press(key: str) -> Callable[[], None]:
        def pressed() -> None:
            shown_event(page, "person 7")
            page.keyboard.press(key)
            page.get_by_role("dialog").wait_for()

        return pressed

    look("review", "/review?event=evt_1&all=1", "#alert a", page.locator(".more-filters summary").first.click)
    look("help", "/review?event=evt_1", "#lanes-note", press("?"))
    look("export", "/review?event=evt_1", "#lanes-note", press("e"))
    look("events", "/events", "#found tr")
    look("corrections", "/corrections", "#found li")
    look("incident", f"/incidents/{incident['id']}", "#events li")
    context.close()
    assert {name: serious for name, serious in found.items() if serious} == {}
