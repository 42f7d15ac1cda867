"""The live wall: pictures of many cameras, boxes on the people that can be switched, who is followed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from service.wire_messages import rfc3339
from tests.service.conftest import RunningApi, action
from tests.service.web.test_overlay import decoded, extent
from tests.support.service import wait_for

SIZE_HW = (360, 640)
LEFT, TOP, WIDTH, HEIGHT = 200, 100, 120, 200  # of a bright person in the picture
PERSON = {
    "track_id": 7,
    "box": [LEFT / 640, TOP / 360, (LEFT + WIDTH) / 640, (TOP + HEIGHT) / 360],
    "state": "confirmed",
    "action": "walking",
    "confidence": 0.8,
    "provisional": False,
}
GUESS = {**PERSON, "track_id": 8, "state": "tentative"}
CANVAS = "canvas => canvas.toDataURL('image/png')"


def picture() -> bytes:
    image = np.full((*SIZE_HW, 3), 30, np.uint8)
    image[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = 225
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return bytes(data)


@pytest.fixture
def api(shared_api: RunningApi) -> RunningApi:
    """Of the whole file: a test's cameras go with it."""
    return shared_api


@pytest.fixture
def gate(api: RunningApi) -> str:
    """→ id of a camera that shows one person and a guess."""
    api.supervisor.pictures = [picture()]
    api.supervisor.people = [PERSON, GUESS]
    return str(api.add(name="Gate")["id"])


def seen(page: Any, place: int = 0) -> np.ndarray:
    """→ what a tile shows, uint8 (H, W, 4) BGRA of the picture's size, without the bars beside it."""
    canvas = page.locator(".tile canvas").nth(place)
    shown = decoded(canvas.evaluate(CANVAS))
    scale = min(shown.shape[1] / 640, shown.shape[0] / 360)
    left, top = (shown.shape[1] - 640 * scale) / 2, (shown.shape[0] - 360 * scale) / 2
    inner = shown[round(top) : round(top + 360 * scale), round(left) : round(left + 640 * scale)]
    return np.asarray(cv2.resize(inner, (640, 360), interpolation=cv2.INTER_AREA))


def boxed(image: np.ndarray) -> bool:
    """Whether there is colour: the picture itself is grey."""
    spread = image[..., :3].max(axis=2).astype(int) - image[..., :3].min(axis=2)
    return bool((spread > 60).sum() > 200)


def drawn(page: Any, place: int = 0) -> np.ndarray:
    wait_for(lambda: seen(page, place)[..., :3].max() > 150, 10, "a picture is drawn")
    return seen(page, place)


@pytest.mark.parametrize("width", [1280, pytest.param(420, marks=pytest.mark.exhaustive)])
def test_box_is_around_the_person_of_the_very_picture(gate: str, page: Any, width: int):
    page.set_viewport_size({"width": width, "height": 800})
    image = drawn(page)
    spread = image[..., :3].max(axis=2).astype(int) - image[..., :3].min(axis=2)
    spread[: TOP + 20] = 0  # the label, which lies above the box
    left, _, right, bottom = extent(spread > 60)
    assert np.abs(np.subtract((left, right, bottom), (LEFT, LEFT + WIDTH, TOP + HEIGHT))).max() <= 3
    label = page.locator(".tile canvas").get_attribute("aria-label")
    assert label == "Live picture of Gate, #7 walking 80%", "a guess is nobody yet"


def test_boxes_are_switched_off_by_key_and_button_and_stay_so(gate: str, page: Any):
    assert boxed(drawn(page))
    page.keyboard.press("o")
    wait_for(lambda: not boxed(drawn(page)), 10, "the boxes are gone")
    button = page.get_by_role("button", name="Boxes (o)")
    assert button.get_attribute("aria-pressed") == "false"
    page.reload()
    assert not boxed(drawn(page))
    page.get_by_label("Camera or file").press("o")  # who writes an address means the letter
    assert not boxed(drawn(page))
    button.click()
    wait_for(lambda: boxed(drawn(page)), 10, "the boxes are back")


def test_layout_says_how_many_cameras_are_shown_and_is_kept(gate: str, visit: Callable[[str], Any], api: RunningApi):
    for name in ("Yard", "Roof"):
        api.add(name=name)
    page = visit("/")
    tiles = page.locator(".tile")
    wait_for(lambda: tiles.count() == 3, 10, "one big, two below")
    drawn(page, 2)
    first, second = (tiles.nth(place).bounding_box() for place in (0, 1))
    assert first["width"] > 2 * second["width"]
    tiles.nth(2).get_by_role("button", name="Roof").click()
    wait_for(lambda: tiles.nth(0).inner_text().startswith("Roof"), 10, "Roof is the big one")
    wait_for(lambda: api.supervisor.calls[-1][0] == "live", 10, "the pictures are asked for anew")
    assert ("live in full", api.client.get("/v1/streams").json()["items"][2]["id"]) in api.supervisor.calls
    page.get_by_role("button", name="One camera", exact=True).click()
    wait_for(lambda: tiles.count() == 1, 10, "one camera")
    assert page.get_by_role("button", name="Further cameras").is_disabled()
    page.get_by_role("button", name="Cameras before").click()
    tiles.get_by_role("button", name="Yard").wait_for()
    page.reload()
    tiles.get_by_role("button", name="Yard").wait_for()
    assert tiles.count() == 1
    page.get_by_role("button", name="Nine cameras").click()
    wait_for(lambda: tiles.count() == 3, 10, "all three")


def test_person_who_is_pressed_is_followed_and_the_history_leads_to_the_review(gate: str, page: Any, api: RunningApi):
    at = rfc3339(time.time() - 60)
    for event_id, label, kind in (("evt_1", "standing", "ended"), ("evt_2", "walking", "started")):
        message = action(event_id, kind, action=label, stream_id=gate, captured_at=at)
        api.call(api.context.hub.publish_action(message))
    api.call(api.context.hub.publish_action(action("evt_3", action="running", stream_id=gate, track_id=9)))
    drawn(page)
    box = page.locator(".tile canvas").bounding_box()
    scale = box["width"] / 640
    page.mouse.click(box["x"] + (LEFT + WIDTH / 2) * scale, box["y"] + (TOP + HEIGHT / 2) * scale)
    page.get_by_role("heading", name="Person 7, Gate").wait_for()
    rows = page.locator("#person-actions li")
    wait_for(lambda: rows.count() == 2, 10, "this person's actions, and nobody else's")
    link = rows.get_by_role("link", name="walking")
    assert link.get_attribute("href") == f"{api.url}/review?event=evt_2"
    api.call(api.context.hub.publish_action(action("evt_4", action="jumping", stream_id=gate, captured_at=at)))
    rows.get_by_role("link", name="jumping").wait_for()
    page.locator("#person").get_by_role("button", name="Close").click()
    page.locator("#person").wait_for(state="hidden")


def test_person_is_followed_by_the_keyboard_too(gate: str, page: Any):
    drawn(page)
    person = page.locator("#people").get_by_role("button", name="#7 walking 80%")
    person.press("Enter")
    page.get_by_role("heading", name="Person 7, Gate").wait_for()
    page.get_by_text("No action of this person yet.").wait_for()
    wait_for(lambda: person.get_attribute("aria-pressed") == "true", 10, "it is said who is followed")
    assert page.locator("#people button").count() == 1


def repetition(stream_id: str, count: int, track_id: int = 7, **checks: bool | None) -> dict[str, Any]:
    what = {"exercise": "squat", "count": count, "depth_deg": 84.2, "range_deg": 88.9, "checks": checks}
    when = {"start_s": 8.1, "turn_s": 9.4, "end_s": 10.6, "duration_s": 2.5, "captured_at": rfc3339(time.time())}
    return {"type": "repetition", "stream_id": stream_id, "track_id": track_id, **what, **when, "zones": []}


def test_repetitions_are_counted_beside_the_label_and_listed_with_what_was_wrong(visit: Any, api: RunningApi):
    api.supervisor.pictures = [picture()]
    api.supervisor.people = [{**PERSON, "repetitions": {"exercise": "squat", "count": 3}}]
    gate = str(api.add(name="Gate")["id"])
    page = visit("/")
    drawn(page)
    page.locator("#people").get_by_role("button", name="#7 walking 80% squat x3").press("Enter")
    page.get_by_text("No action of this person yet.").wait_for()
    assert not page.get_by_role("list", name="Repetitions").is_visible()
    wrong = repetition(gate, 1, not_low=True, heels_up=None)
    for message in (wrong, repetition(gate, 9, track_id=8), repetition(gate, 2)):
        api.call(api.context.hub.publish_repetition(message))
    rows = page.get_by_role("list", name="Repetitions").get_by_role("listitem")
    wait_for(lambda: rows.count() == 2, 10, "this person's repetitions, and nobody else's")
    newest, oldest = (rows.nth(place).inner_text().split("\n") for place in (0, 1))
    assert "squat 2" in newest[1] and newest[-1] == "84° · 2.5 s"
    assert "not low" in oldest[1] and "heels up" not in oldest[1], "what was not seen was not wrong"
