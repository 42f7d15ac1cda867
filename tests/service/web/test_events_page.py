"""The list of all events: filters in its address, the way back, words, and page after page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.service.conftest import RunningApi
from tests.service.web.review_world import Told, gate, shown_event
from tests.support.service import wait_for

Visit = Callable[[str], Any]
MARKUP = "<img src=x onerror=\"document.title='broken'\">"


def rows(page: Any) -> list[str]:
    return [" ".join(text.split()) for text in page.locator("#found tr").all_inner_texts()]


def shows(page: Any, count: int) -> None:
    wait_for(lambda: len(rows(page)) == count, 10, f"{count} events")


def test_filters_stand_in_the_address_and_the_way_back_undoes_them(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 1, 3), Told("evt_2", 4, 9, "squat", 8, 0.95), after_s=())
    page = visit("/events")
    shows(page, 2)
    page.locator("summary", has_text="Action").click()
    page.get_by_label("squat").check()
    shows(page, 1)
    assert "action=squat" in page.url
    page.keyboard.press("Escape")
    page.get_by_label("Confidence from, %").fill("96")
    page.get_by_label("Confidence from, %").press("Enter")
    page.get_by_text("No event fits these filters.").wait_for()
    assert "min_confidence=0.96" in page.url
    page.go_back()
    shows(page, 1)
    assert page.get_by_label("Confidence from, %").input_value() == ""
    page.go_back()
    shows(page, 2)
    page.go_forward()
    shows(page, 1)
    page.reload()
    shows(page, 1)
    assert page.get_by_label("squat").is_checked()
    page.get_by_role("button", name="Clear all").click()
    shows(page, 2)


def test_time_of_day_is_asked_for_in_the_zone_that_is_shown(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 1, 3), Told("evt_2", 7200, 7205, "squat", 8), after_s=())
    asked: list[str] = []
    page = visit("/events")
    page.on("request", lambda request: asked.append(request.url))
    shows(page, 2)
    page.get_by_label("Time of day from").fill("02:00")
    page.get_by_label("Time of day to").fill("04:00")
    shows(page, 1)
    zone = page.locator("#zone").inner_text()
    assert any(f"time_of_day=02%3A00-04%3A00&timezone={zone}" in url for url in asked)
    assert "timezone" not in page.url


def test_words_are_understood_and_a_name_of_markup_stays_text(visit: Visit, api: RunningApi):
    stream_id = gate(api, Told("evt_1", 1, 3), Told("evt_2", 4, 9, "squat", 8), after_s=())
    api.client.patch(f"/v1/streams/{stream_id}", json={"name": MARKUP})
    page = visit("/events")
    shows(page, 2)
    page.keyboard.press("/")
    page.keyboard.type("squat bananas")
    page.keyboard.press("Enter")
    shows(page, 1)
    page.get_by_text("not understood: bananas").wait_for()
    assert "action=squat" in page.url and "q=squat+bananas" in page.url
    assert MARKUP in rows(page)[0]
    assert page.title() == "Events · Actoscope"


def test_an_order_and_a_time_until_midnight_of_words_stay_when_another_filter_is_changed(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 1, 3), Told("evt_2", 4, 9, "squat", 8), after_s=())
    page = visit("/events")
    shows(page, 2)
    page.keyboard.press("/")
    page.keyboard.type("squats after 1:00 for review")
    page.keyboard.press("Enter")
    shows(page, 1)
    assert page.get_by_label("Order").input_value() == "review"
    assert page.get_by_label("Time of day to").input_value() == "00:00"
    page.get_by_label("Confidence from, %").fill("10")
    page.get_by_label("Confidence from, %").press("Enter")
    wait_for(lambda: "min_confidence=0.1" in page.url, 10, "another filter")
    assert "time_of_day=01%3A00-00%3A00" in page.url and "order=review" in page.url
    shows(page, 1)


def test_a_long_list_comes_page_by_page_and_each_row_leads_to_its_review(visit: Visit, api: RunningApi):
    gate(api, *[Told(f"evt_{n}", n, n + 0.5, track_id=n) for n in range(130)], after_s=())
    page = visit("/events")
    wait_for(lambda: len(rows(page)) >= 100, 20, "the first page")
    page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    shows(page, 130)
    page.get_by_text("130", exact=True).wait_for()
    page.locator("#found tr").nth(3).get_by_role("link").click()
    page.locator("#inbox [aria-current=true]").get_by_text("person 126").wait_for()


def test_link_to_the_review_takes_the_filters_along(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 1, 3), Told("evt_2", 4, 9, "squat", 8))
    page = visit("/events?action=push+up")
    shows(page, 1)
    page.get_by_role("link", name="Review these").click()
    shown_event(page, "person 7")
    assert page.locator("#inbox li").count() == 1
