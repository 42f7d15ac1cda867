"""Times on the pages: in one named zone, and right on the night when clocks show an hour twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.wire_messages import parse_rfc3339
from tests.service.conftest import RunningApi
from tests.service.web.review_world import Told, lanes, tell
from tests.support.service import wait_for

NEW_YORK = "America/New_York"
FIRST_HALF_PAST_ONE = parse_rfc3339("2026-11-01T05:30:00.000Z")
MIDNIGHT = parse_rfc3339("2026-11-01T04:00:00.000Z")

CLOCK = """
async (zone) => {
  const { ZoneClock } = await import("/web/times.js");
  const clock = new ZoneClock(zone);
  const at = (text) => Date.parse(text) / 1000;
  return {
    zone: clock.zone,
    times: ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"].map((text) => clock.time(at(text))),
    day: clock.startOf("2026-11-01", 1) - clock.startOf("2026-11-01"),
    short: clock.startOf("2026-03-08", 1) - clock.startOf("2026-03-08"),
    read: [false, true].map((last) => clock.fromLocal("2026-11-01T01:30", last) - at("2026-11-01T05:30:00Z")),
    skipped: clock.fromLocal("2026-03-08T02:30") - at("2026-03-08T07:30:00Z"),
    nothing: clock.fromLocal(""),
    hours: clock.ticks(at("2026-11-01T04:00:00Z"), at("2026-11-01T08:00:00Z"), 3600).map((tick) => clock.minute(tick)),
    parts: clock.ticks(at("2026-11-01T04:00:00Z"), at("2026-11-02T05:00:00Z"), 21600).map((tick) => clock.minute(tick)),
    back: clock.local(at("2026-11-01T06:30:00Z")),
  };
}
"""


@pytest.fixture
def new_york(browser: Any, api: RunningApi) -> Iterator[Callable[[str], Any]]:
    """Opens a path in a browser of New York."""
    context = browser.new_context(timezone_id=NEW_YORK, locale="en-US")
    page = context.new_page()

    def go(path: str) -> Any:
        page.goto(f"{api.url}{path}")
        return page

    yield go
    context.close()


def test_clock_knows_days_of_25_and_23_hours_and_names_the_hour_that_comes_twice(new_york: Callable[[str], Any]):
    found = new_york("/settings").evaluate(CLOCK, NEW_YORK)
    assert found["times"] == ["01:30:00 GMT-4", "01:30:00 GMT-5", "02:30:00"]
    assert (found["day"], found["short"]) == (25 * 3600, 23 * 3600)
    assert found["read"] == [0, 3600], "the first, and the last, of both"
    assert found["skipped"] == 0, "half past two did not come: half past three"
    assert found["nothing"] is None
    assert found["hours"] == ["00:00", "01:00 GMT-4", "01:00 GMT-5", "02:00", "03:00"]
    assert found["parts"] == ["00:00", "06:00", "12:00", "18:00", "00:00"]
    assert found["back"] == "2026-11-01T01:30:00"


def test_a_zone_that_the_browser_does_not_know_becomes_its_own(new_york: Callable[[str], Any]):
    page = new_york("/settings")
    assert page.evaluate(CLOCK, "Mars/Olympus")["zone"] == NEW_YORK
    assert page.evaluate(CLOCK, None)["zone"] == NEW_YORK
    assert page.evaluate(CLOCK, "Europe/Berlin")["zone"] == "Europe/Berlin"


def test_the_night_of_two_half_past_ones_in_new_york(new_york: Callable[[str], Any], api: RunningApi):
    stream_id = api.add(name="Gate")["id"]
    tell(api, stream_id, [Told("evt_1", 0, 5), Told("evt_2", 3600, 3605, "squat", 8)], FIRST_HALF_PAST_ONE)
    page = new_york("/review")
    page.locator("#inbox").get_by_text("01:30:00 GMT-4").wait_for()
    page.locator("#inbox").get_by_text("01:30:00 GMT-5").wait_for()
    assert page.locator("#zone").inner_text() == NEW_YORK
    assert page.locator("#day").input_value() == "2026-11-01"

    def shows_the_day() -> bool:
        page.keyboard.press("0")  # again and again: the page, once it knows its events, goes to the first of them
        return lanes(page).start == MIDNIGHT and lanes(page).end == MIDNIGHT + 25 * 3600

    wait_for(shows_the_day, 20, "all 25 hours")
    page.get_by_role("button", name="Day after").click()
    wait_for(lambda: page.locator("#day").input_value() == "2026-11-02", 10, "the next day of the calendar")


def test_a_filter_from_half_past_one_means_the_first_and_until_the_last(
    new_york: Callable[[str], Any], api: RunningApi
):
    stream_id = api.add(name="Gate")["id"]
    tell(api, stream_id, [Told("evt_1", 1800, 1805)], FIRST_HALF_PAST_ONE)
    page = new_york("/events")
    page.get_by_label("From", exact=True).fill("2026-11-01T01:30:00")
    page.get_by_label("Until", exact=True).fill("2026-11-01T01:30:00")
    wait_for(lambda: "until=2026-11-01T06%3A30" in page.url, 10, "until the second")
    assert "since=2026-11-01T05%3A30" in page.url
    page.locator("#found tr").get_by_text("01:00:00 GMT-5").wait_for()


@pytest.mark.parametrize("changes", [{"timezone": "Europe/Berlin"}])
def test_the_services_zone_goes_before_the_browsers(browser: Any, run_api: Any, changes: dict[str, str]):
    api = run_api(**changes)
    tell(api, api.add(name="Gate")["id"], [Told("evt_1", 0, 5)], FIRST_HALF_PAST_ONE)
    context = browser.new_context(timezone_id=NEW_YORK)
    page = context.new_page()
    page.goto(f"{api.url}/events")
    page.locator("#found tr").get_by_text("06:30:00").wait_for()
    assert page.locator("#zone").inner_text() == "Europe/Berlin"
    page.goto(api.url)
    page.locator("#events time").get_by_text("06:30:00").wait_for()
    page.get_by_text("Europe/Berlin", exact=True).wait_for()
    context.close()
