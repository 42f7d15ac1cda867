"""The page of what people said, with the clips that were stored of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.service.conftest import RunningApi
from tests.service.web.review_world import Told, gate
from tests.support.service import wait_for

Visit = Callable[[str], Any]


def test_what_was_said_is_listed_with_its_clip_and_filtered(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 3, 5), Told("evt_2", 6, 8, "squat", 8))
    for event_id, said in (("evt_1", {"verdict": "wrong", "label": "squat"}), ("evt_2", {"verdict": "right"})):
        assert api.client.put(f"/v1/events/{event_id}/verdict", json=said).status_code == 200
    wait_for(lambda: states(api) == {"evt_1": "stored", "evt_2": "none"}, 30, "what can be cut is cut")
    page = visit("/corrections")
    page.locator("#found li").nth(1).wait_for()
    page.get_by_text("✗ wrong: squat").wait_for()
    wait_for(lambda: page.evaluate("document.querySelector('.clips video').videoWidth") > 0, 10, "its crops are shown")
    page.get_by_text("No clip: ").wait_for()
    page.locator("summary", has_text="Clip").click()
    page.get_by_label("stored").check()
    wait_for(lambda: page.locator("#found li").count() == 1, 10, "one of both")
    assert "clip=stored" in page.url
    page.go_back()
    wait_for(lambda: page.locator("#found li").count() == 2, 10, "both")
    page.get_by_role("link", name="Review push up, person 7").click()
    page.wait_for_url("**/review?event=evt_1")


def test_a_clip_that_the_browser_does_not_play_is_offered_as_a_file(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 3, 5))
    assert api.client.put("/v1/events/evt_1/verdict", json={"verdict": "right"}).status_code == 200
    wait_for(lambda: states(api) == {"evt_1": "stored"}, 30, "its clip is cut")
    page = visit("/login")
    page.route("**/clip.mp4", lambda route: route.fulfill(content_type="video/mp4", body=b"of another kind"))
    visit("/corrections")
    link = page.get_by_role("link", name="Download it")
    link.wait_for()
    page.unroute_all()
    with page.expect_download() as saved:
        link.click()
    correction = api.client.get("/v1/corrections").json()["items"][0]["id"]
    clip = api.client.get(f"/v1/corrections/{correction}/clip.mp4").content
    assert saved.value.suggested_filename.startswith(correction) and saved.value.path().read_bytes() == clip


def states(api: RunningApi) -> dict[str, str]:
    return {each["event_id"]: each["clip"] for each in api.client.get("/v1/corrections").json()["items"]}
