"""Zones drawn on a still: by pointer, by keyboard alone, and what the service refuses."""

from typing import Any

import numpy as np
import pytest

from tests.service.conftest import RunningApi
from tests.service.web.conftest import jpeg
from tests.support.service import wait_for

GATE = {"name": "gate", "polygon": [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]}


@pytest.fixture
def api(shared_api: RunningApi) -> RunningApi:
    """Of the whole file: zones go with their streams."""
    return shared_api


def opened(page: Any, api: RunningApi, *zones: dict[str, Any]) -> tuple[str, Any]:
    """→ id of a stream that has these zones, and its editor."""
    api.supervisor.pictures = [jpeg()]
    stream_id = api.add(name="Yard")["id"]
    assert api.client.put(f"/v1/streams/{stream_id}/zones", json={"zones": list(zones)}).status_code == 200
    page.locator(".card").get_by_role("button", name="Zones").click()
    dialog = page.get_by_role("dialog", name="Zones: Yard")
    dialog.wait_for()
    wait_for(lambda: page.evaluate("document.getElementById('zones-still').naturalWidth") == 64, 10, "the still")
    return stream_id, dialog


def stored(api: RunningApi, stream_id: str) -> list[dict[str, Any]]:
    return list(api.client.get(f"/v1/streams/{stream_id}/zones").json()["zones"])


def click(page: Any, x: float, y: float) -> None:
    box = page.locator("#zones-still").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def near(points: list[list[float]], expected: list[tuple[float, float]]) -> bool:
    return np.shape(points) == np.shape(expected) and bool(np.allclose(points, expected, atol=0.005))


def test_zone_is_clicked_onto_a_clean_still_named_and_saved(page: Any, api: RunningApi):
    stream_id, dialog = opened(page, api)
    assert ("still", stream_id) in api.supervisor.calls
    dialog.get_by_role("button", name="New zone").click()
    corners = [(0.2, 0.3), (0.7, 0.3), (0.7, 0.9), (0.2, 0.9)]
    for corner in corners:
        click(page, *corner)
    dialog.get_by_label("Name of zone 1").fill("gate <b>")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")
    (zone,) = stored(api, stream_id)
    assert zone["name"] == "gate <b>"
    assert near(zone["polygon"], corners)
    assert api.supervisor.zones[stream_id][0].name == "gate <b>"


def test_zone_can_be_drawn_moved_and_deleted_without_a_pointer(page: Any, api: RunningApi):
    stream_id, dialog = opened(page, api, GATE)
    new = dialog.get_by_role("button", name="New zone")
    new.focus()
    page.keyboard.press("Enter")
    for keys in (["Enter"], ["Shift+ArrowRight"] * 4 + ["Enter"], ["Shift+ArrowDown"] * 4 + ["Enter"]):
        for key in keys:
            page.keyboard.press(key)
    page.keyboard.press("Tab")  # to the first point
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Zone 2, point 1 at 50 %, 50 %"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    dialog.get_by_role("button", name="Delete gate").focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    dialog.wait_for(state="hidden")
    (zone,) = stored(api, stream_id)
    assert zone["name"] == "Zone 2"
    assert near(zone["polygon"], [(0.49, 0.45), (0.7, 0.5), (0.7, 0.7)])


def test_point_is_dragged_and_taken_away(page: Any, api: RunningApi):
    square = {"name": "gate", "polygon": [[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]]}
    stream_id, dialog = opened(page, api, square)
    box = page.locator("#zones-still").bounding_box()
    dialog.get_by_role("button", name="gate, point 3").hover()
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    page.mouse.up()
    dialog.get_by_role("button", name="gate, point 4").press("Delete")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")
    assert near(stored(api, stream_id)[0]["polygon"], [(0.2, 0.2), (0.6, 0.2), (0.8, 0.7)])


def test_zone_that_cannot_be_says_why_and_nothing_is_lost_by_closing_unasked(page: Any, api: RunningApi):
    stream_id, dialog = opened(page, api, GATE)
    dialog.get_by_role("button", name="New zone").click()
    for corner in [(0.1, 0.1), (0.9, 0.4), (0.9, 0.1), (0.1, 0.4)]:
        click(page, *corner)
    dialog.get_by_role("button", name="Save").click()
    alert = dialog.get_by_role("alert")
    alert.wait_for()
    assert "Zone 2: zones.1.polygon: expected edges that do not cross" in alert.inner_text()
    asked: list[str] = []

    def refuse(question: Any) -> None:
        asked.append(question.message)
        question.dismiss()

    page.once("dialog", refuse)
    dialog.get_by_role("button", name="Close").click()
    assert asked == ["Close without saving? The changes are lost."]
    assert dialog.is_visible()
    assert stored(api, stream_id) == [GATE]


def test_zones_that_somebody_else_changed_meanwhile_are_not_overwritten(page: Any, api: RunningApi):
    stream_id, dialog = opened(page, api, GATE)
    other = {**GATE, "name": "other"}
    api.client.put(f"/v1/streams/{stream_id}/zones", json={"zones": [other]})
    dialog.get_by_label("Name of zone 1").fill("mine")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("alert").get_by_text("read them again").wait_for()
    assert stored(api, stream_id) == [other]


def test_zones_can_be_drawn_while_no_picture_comes(page: Any, api: RunningApi):
    api.supervisor.pictures = []
    stream_id = api.add(name="Yard")["id"]
    page.locator(".card").get_by_role("button", name="Zones").click()
    dialog = page.get_by_role("dialog", name="Zones: Yard")
    dialog.get_by_text("No picture comes now.").wait_for()
    dialog.get_by_role("button", name="New zone").click()
    for corner in [(0.2, 0.3), (0.7, 0.3), (0.7, 0.9)]:
        click(page, *corner)
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")
    assert near(stored(api, stream_id)[0]["polygon"], [(0.2, 0.3), (0.7, 0.3), (0.7, 0.9)])
