"""The review page over the real routes: what waits, what is seen of it, what people say; by keys alone."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from service.rights import Role
from tests.service.conftest import RunningApi
from tests.service.web.conftest import PASSWORD, add_user, log_in
from tests.service.web.review_world import DAY, PLAYING, Told, film, gate, lanes, shown_event, tell, tell_beginning
from tests.service.web.test_overlay import STARTED_AT
from tests.support.service import wait_for

Visit = Callable[[str], Any]
FIRST = Told("evt_1", 3.0, 5.0)
SECOND = Told("evt_2", 6.0, 8.0, "squat", 8)
THIRD = Told("evt_3", 7.0, 9.0, "push up", 9, 0.55)


def stored(api: RunningApi, event_id: str) -> dict[str, Any]:
    return dict(api.client.get(f"/v1/events/{event_id}").json())


def playing(page: Any) -> dict[str, Any]:
    return dict(page.evaluate(PLAYING))


def test_a_wrong_label_is_found_watched_corrected_and_its_case_exported_by_keys_alone(visit: Visit, api: RunningApi):
    gate(api, FIRST, SECOND, THIRD)
    page = visit("/review")
    shown_event(page, "person 9")
    page.keyboard.press("j")
    shown_event(page, "person 8")
    page.keyboard.press("j")
    shown_event(page, "person 7")
    wait_for(lambda: 0.9 < playing(page)["at"] < 1.2, 10, "the player is two seconds before it")
    page.keyboard.press("x")
    page.get_by_text("What was it?").wait_for()
    page.keyboard.press("3")
    page.locator("#inbox li").get_by_text("✗ wrong: playing cricket").wait_for()
    page.locator("#action-note").get_by_text("Said: wrong, it was playing cricket.").wait_for()
    verdict = stored(api, "evt_1")["verdict"]
    assert (verdict["verdict"], verdict["label"], verdict["version"]) == ("wrong", "playing cricket", 1)
    wait_for(lambda: stored(api, "evt_1")["reviewed"], 10, "whoever judged it has reviewed it")
    assert stored(api, "evt_2")["verdict"] is None
    exported_by_keys(page, api)


def exported_by_keys(page: Any, api: RunningApi) -> None:
    """The case of the first event, from the dialog to the file and to its end."""
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Export")
    dialog.get_by_label("Gate").wait_for()
    assert dialog.get_by_label("Gate").is_checked()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "push up, Gate, 2026-05-04"
    page.keyboard.type("Case 12")
    page.keyboard.press("Enter")
    entry = dialog.locator("li", has_text="Case 12")
    entry.get_by_text("done", exact=True).wait_for(timeout=60_000)
    (item,) = api.client.get("/v1/exports").json()["items"]
    assert item["name"] == "Case 12" and item["since"] < "2026-05-04T03:00:03" < "2026-05-04T03:00:05" < item["until"]
    go_to(page, "Download")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    with zipfile.ZipFile(download.value.path()) as case:
        assert case.testzip() is None
        (row,) = [row for row in rows_of(case, "events.csv") if row["event"] == "evt_1"]
        assert (row["verdict"], row["verdict_label"]) == ("wrong", "playing cricket")
    go_to(page, "Delete Case 12")
    page.keyboard.press("Enter")
    entry.wait_for(state="detached")
    assert api.client.get("/v1/exports").json()["items"] == []


def go_to(page: Any, name: str) -> None:
    """By the Tab key, to a button or link."""
    for _ in range(40):
        if page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent").strip() == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not lead to {name}")


def rows_of(case: zipfile.ZipFile, file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(case.read(file).decode("utf-8-sig"))))


def test_edges_are_set_at_the_picture_shown_and_go_with_the_verdict(visit: Visit, api: RunningApi):
    gate(api, FIRST)
    page = visit("/review")
    shown_event(page, "person 7")
    wait_for(lambda: playing(page)["at"] > 0.9, 10, "the player is at the event")
    page.keyboard.press("ArrowRight")
    wait_for(lambda: 5.9 < playing(page)["at"] < 6.2, 10, "five seconds on")
    page.keyboard.press(".")
    page.keyboard.press("n")
    at = playing(page)["at"]
    page.get_by_label("Start, s").fill("-0.5")
    page.get_by_label("Start, s").press("Enter")
    page.get_by_label("Start, s").press("Escape")
    page.keyboard.press("c")
    page.locator("#inbox li").get_by_text("✓ right").wait_for()
    verdict = stored(api, "evt_1")["verdict"]
    assert verdict["start_s"] == pytest.approx(12 + 3 - 0.5, abs=0.01)
    assert verdict["end_s"] == pytest.approx(12 + at, abs=0.01)
    page.keyboard.press("u")
    page.locator("#inbox li").get_by_text("? unsure").wait_for()
    page.get_by_text("Earlier verdicts").click()
    page.locator("#verdict-versions li").nth(1).get_by_text("✓ right").wait_for()


def test_only_the_edge_that_was_moved_is_sent_of_an_event_that_goes_on(visit: Visit, api: RunningApi):
    stream_id = gate(api)
    tell_beginning(api, stream_id, FIRST)
    page = visit("/review")
    sent: list[dict[str, Any]] = []
    page.on("request", lambda asked: sent.append(asked.post_data_json) if asked.url.endswith("/verdict") else None)
    shown_event(page, "person 7")
    stands_at(page, 1.05)
    start, end = page.get_by_label("Start, s"), page.get_by_label("End, s")
    assert end.input_value() == "", "nobody knows it yet"
    say_with_edge(page, start, "-0.5", "c")
    page.locator("#inbox li").get_by_text("✓ right").wait_for()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: playing(page)["at"] > 5, 10, "five seconds on")
    say_with_edge(page, start, "", "n")
    at = playing(page)["at"]
    page.keyboard.press("u")
    page.locator("#inbox li").get_by_text("? unsure").wait_for()
    assert sent == [
        {"verdict": "right", "start_s": 14.5},
        {"verdict": "unsure", "end_s": pytest.approx(12 + at, abs=0.01)},
    ]


def say_with_edge(page: Any, field: Any, text: str, key: str) -> None:
    field.fill(text)
    field.press("Enter")
    field.press("Escape")
    page.keyboard.press(key)


def test_what_is_being_recorded_is_shown_once_its_file_is_finished(visit: Visit, api: RunningApi):
    stream_id = gate(api, after_s=())
    began = time.time() - 30
    tell(api, stream_id, [FIRST], began)
    page = visit("/review")
    page.locator("#stage-note").get_by_text("Nothing was recorded at ").wait_for()
    film(api, stream_id, began - STARTED_AT)
    page.locator("#inbox .item").click()
    shown_event(page, "person 7")
    assert page.locator("#stage-note").inner_text() == ""


def stands_at(page: Any, wanted_s: float) -> None:
    """In the middle of a picture."""
    wait_for(lambda: abs(playing(page)["at"] - wanted_s) < 0.01, 10, f"picture at {wanted_s}")


def test_pictures_are_stepped_through_one_by_one_and_the_speed_is_changed(visit: Visit, api: RunningApi):
    gate(api, FIRST)
    page = visit("/review")
    shown_event(page, "person 7")
    stands_at(page, 1.05)
    for key, expected in ((".", 1.15), (".", 1.25), (",", 1.15)):
        page.keyboard.press(key)
        stands_at(page, expected)
    page.keyboard.press("]")
    page.keyboard.press("]")
    page.keyboard.press("[")
    assert playing(page)["rate"] == 1.5
    page.keyboard.press(" ")
    wait_for(lambda: not playing(page)["paused"], 10, "it plays")
    page.get_by_role("button", name="Pause").click()
    wait_for(lambda: playing(page)["paused"], 10, "it stands")


def test_files_follow_one_another_and_what_is_missing_is_told(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 9.0, 11.5), after_s=(0.0, 10.0, 40.0))
    page = visit("/review")
    shown_event(page, "person 7")
    first = playing(page)["source"]
    for key in ("]", "]", "]", "]", " "):
        page.keyboard.press(key)
    wait_for(lambda: playing(page)["source"] not in (first, ""), 20, "the second file plays")
    assert page.locator("#stage-note").inner_text() == ""
    page.keyboard.press("[")
    page.keyboard.press("[")
    page.locator("#stage-note").get_by_text("Nothing was recorded for 20").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#stage .deck:not([hidden])").count() == 1


def test_boxes_lie_on_the_person_and_go_by_the_key(visit: Visit, api: RunningApi):
    gate(api, FIRST)
    page = visit("/review")
    shown_event(page, "person 7")
    drawn = """() => {
      const canvas = document.querySelector("#stage .deck:not([hidden]) canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return data.some((value, index) => index % 4 === 3 && value > 0);
    }"""
    wait_for(lambda: page.evaluate(drawn), 10, "boxes are drawn")
    page.keyboard.press("o")
    assert not page.evaluate(drawn)
    page.get_by_role("button", name="Boxes").click()
    wait_for(lambda: page.evaluate(drawn), 10, "boxes are drawn again")


def test_several_events_are_selected_and_reviewed_at_once(visit: Visit, api: RunningApi):
    gate(api, FIRST, SECOND, THIRD)
    page = visit("/review")
    shown_event(page, "person 9")
    page.keyboard.press("Shift+j")
    shown_event(page, "person 8")
    page.locator("#inbox-count").get_by_text("3 events, 2 selected").wait_for()
    page.keyboard.press("r")
    page.get_by_text("2 events reviewed.").wait_for()
    reviewed = {event_id: stored(api, event_id)["reviewed"] for event_id in ("evt_1", "evt_2", "evt_3")}
    assert reviewed == {"evt_1": False, "evt_2": True, "evt_3": True}
    visit("/review")
    shown_event(page, "person 7")
    assert page.locator("#inbox li").count() == 1, "what is reviewed waits no more"
    page.get_by_label("Reviewed ones too").check()
    page.locator("#inbox li").nth(2).wait_for()
    assert "all=1" in page.url


def test_bars_are_drawn_where_somebody_did_something_and_lead_there(visit: Visit, api: RunningApi):
    stream_id = gate(api, FIRST)
    tell(api, stream_id, [Told("evt_9", 3600.0, 3720.0, "squat", 9)])
    page = visit("/review?event=evt_9&all=1")
    page.locator("#lanes-note").get_by_text("2 events").wait_for()
    wait_for(lambda: lanes(page).end - lanes(page).start < 2000, 10, "the event is looked at")
    there = lanes(page)
    began = STARTED_AT + 3600
    assert there.coloured(began + 5, began + 115) > 400
    assert there.coloured(began - 100, began - 10) == there.coloured(began + 130, began + 220) == 0
    page.keyboard.press("0")
    wait_for(lambda: lanes(page).end - lanes(page).start == 86_400, 10, "the whole day")
    page.mouse.move(*corner(page, lanes(page).x(STARTED_AT + 4), 33))
    for _ in range(8):
        page.mouse.wheel(0, -300)
    wait_for(lambda: lanes(page).end - lanes(page).start < 2400, 10, "nearer by the wheel")
    there = lanes(page)
    assert there.start < STARTED_AT + 4 < there.end
    page.mouse.click(*corner(page, there.x(STARTED_AT + 4), 22 + 22 + 11))
    page.locator("#event-title").get_by_text("push up, person 7").wait_for()
    assert "event=evt_1" in page.url


def corner(page: Any, x: float, y: float) -> tuple[float, float]:
    """→ where a place of the lanes is in the window."""
    page.locator("#lanes").scroll_into_view_if_needed()
    box = page.locator("#lanes").bounding_box()
    return box["x"] + x, box["y"] + y


def test_lanes_are_panned_by_pointer_and_keys_and_a_click_seeks(visit: Visit, api: RunningApi):
    gate(api, FIRST)
    page = visit("/review")
    shown_event(page, "person 7")
    wait_for(lambda: lanes(page).end - lanes(page).start < 100, 10, "the event is looked at")
    before = lanes(page)
    page.mouse.move(*corner(page, 300, 100))
    page.mouse.down()
    page.mouse.move(*corner(page, 200, 100), steps=4)
    page.mouse.up()
    wait_for(lambda: lanes(page).start > before.start, 10, "later")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    wait_for(lambda: lanes(page).start < before.start, 10, "earlier")
    page.mouse.click(*corner(page, lanes(page).x(STARTED_AT + 8), 22 + 60))
    wait_for(lambda: 7.8 < playing(page)["at"] < 8.3, 10, "the player is there")
    page.mouse.click(*corner(page, lanes(page).x(STARTED_AT - 5), 22 + 60))
    page.get_by_text("Nothing was recorded at ").wait_for()
    page.get_by_text("It goes on at ").wait_for()


def test_a_viewer_has_no_buttons_for_verdicts_and_is_refused(visit: Visit, api: RunningApi):
    gate(api, FIRST)
    add_user(api, "boss")
    add_user(api, "guard", Role.VIEWER)
    page = visit("/login?next=review")
    log_in(page, "guard", PASSWORD)
    shown_event(page, "person 7")
    for name in ("Right", "Wrong", "Unsure", "Keep", "Snooze"):
        assert page.get_by_role("button", name=name).count() == 0, name
    page.keyboard.press("c")
    page.keyboard.press("r")
    page.get_by_text("1 event reviewed.").wait_for()
    status = page.evaluate("""async () => (await fetch("v1/events/evt_1/verdict", { method: "PUT",
        headers: { "Content-Type": "application/json" }, body: '{"verdict": "right"}' })).status""")
    assert status == 403
    api.log_in("boss")
    assert stored(api, "evt_1")["verdict"] is None


def test_no_key_acts_while_somebody_types_and_the_help_shows_and_switches_all(visit: Visit, api: RunningApi):
    gate(api, FIRST)
    page = visit("/review")
    shown_event(page, "person 7")
    page.keyboard.press("/")
    page.keyboard.type("cur")
    assert page.locator("#q").input_value() == "cur"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    dialog.wait_for()
    shown = dialog.locator("kbd").all_inner_texts()
    wanted = [*"jkrocxusez,.[]bn/?", "Space", "←", "→", "1 … 9", "Shift j"]
    assert not set(wanted) - set(shown)
    page.keyboard.press("c")
    dialog.get_by_label("Keys act on this page").uncheck()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.keyboard.press("c")
    page.keyboard.press("?")
    dialog.get_by_label("Keys act on this page").check()
    page.keyboard.press("Escape")
    assert stored(api, "evt_1")["verdict"] is None
    page.keyboard.press("c")
    page.locator("#inbox li").get_by_text("✓ right").wait_for()


def test_the_alert_of_an_event_is_kept_and_its_rule_snoozed(visit: Visit, api: RunningApi):
    rule = api.client.post("/v1/rules", json={"name": "Push ups", "actions": {"push up": 0.5}}).json()
    gate(api, FIRST)
    (incident,) = wait_for(lambda: api.client.get("/v1/incidents").json()["items"], 10, "an incident")
    page = visit("/review")
    shown_event(page, "person 7")
    page.locator("#alert").get_by_role("link", name="Push ups").wait_for()
    page.keyboard.press("s")
    page.get_by_text("Kept: nothing removes its recordings.").wait_for()
    page.keyboard.press("z")
    page.get_by_text("“Push ups” is silent until").wait_for()
    assert api.client.get(f"/v1/incidents/{incident['id']}").json()["kept"]
    assert not api.client.get(f"/v1/rules/{rule['id']}").json()["armed"]
    page.locator("#alert").get_by_role("link", name="Push ups").click()
    page.get_by_role("heading", name="Push ups").wait_for()
    page.get_by_role("button", name="Kept", pressed=True).wait_for()
    page.get_by_role("link", name="Review push up, person 7").click()
    shown_event(page, "person 7")


def test_words_fill_the_filters_and_say_what_they_did_not_understand(visit: Visit, api: RunningApi):
    gate(api, FIRST, SECOND)
    page = visit("/review")
    shown_event(page, "person 8")
    page.keyboard.press("/")
    page.keyboard.type("push up bananas")
    page.keyboard.press("Enter")
    page.get_by_text("not understood: bananas").wait_for()
    shown_event(page, "person 7")
    assert not page.get_by_label("Most useful first").is_checked()
    assert page.locator("#inbox li").count() == 1
    assert "action=push+up" in page.url
    assert page.locator("#day").input_value() == DAY
    page.keyboard.press("/")
    page.keyboard.type("for review")
    page.keyboard.press("Enter")
    wait_for(lambda: page.locator("#inbox li").count() == 2, 10, "both again")
    assert page.get_by_label("Most useful first").is_checked() and "order=review" in page.url


def test_what_comes_meanwhile_is_told_and_shown_on_demand(visit: Visit, api: RunningApi):
    stream_id = gate(api, FIRST)
    page = visit("/review")
    page.clock.install()
    page.reload()
    shown_event(page, "person 7")
    tell(api, stream_id, [SECOND, THIRD])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(20_000)
    page.get_by_role("button", name="2 new: show").wait_for()
    (look,) = [url for url in asked if "/v1/events?" in url]
    assert "since=2026-05-04T03%3A00%3A03.000Z" in look, "what is older is not searched again"
    page.get_by_role("button", name="2 new: show").click()
    page.locator("#inbox li").nth(2).wait_for()
    shown_event(page, "person 7")
    assert page.locator("#inbox li").first.get_by_text("person 7").is_visible(), "what was looked at stays at the top"
