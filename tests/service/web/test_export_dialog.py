"""Export from the pages: what is asked for, how far it is, and the case that comes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

from service.rights import Role
from tests.service.conftest import RunningApi
from tests.service.web.conftest import add_user, log_in
from tests.service.web.review_world import Told, gate, shown_event

Visit = Callable[[str], Any]


def test_a_case_is_exported_from_an_event_by_keys_alone(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 3, 5))
    page = visit("/review")
    shown_event(page, "person 7")
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
    link = entry.get_by_role("link", name="Download").get_attribute("href")
    (item,) = api.client.get("/v1/exports").json()["items"]
    assert (item["name"], item["file"]) == ("Case 12", link)
    assert item["since"] < "2026-05-04T03:00:03" < "2026-05-04T03:00:05" < item["until"]
    assert zipfile.ZipFile(io.BytesIO(api.client.get(link).content)).testzip() is None
    entry.get_by_role("button", name="Delete Case 12").click()
    entry.wait_for(state="detached")
    assert api.client.get("/v1/exports").json()["items"] == []


def test_what_the_service_refuses_is_said_in_the_dialog(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 3, 5))
    page = visit("/review")
    shown_event(page, "person 7")
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Export")
    dialog.get_by_label("Gate").uncheck()
    dialog.get_by_role("button", name="Export").click()
    dialog.get_by_role("alert").get_by_text("streams").wait_for()


def test_a_viewer_sees_cases_and_cannot_make_one(visit: Visit, api: RunningApi):
    gate(api, Told("evt_1", 3, 5))
    add_user(api, "boss")
    add_user(api, "guard", Role.VIEWER)
    page = visit("/login?next=review")
    log_in(page, "guard")
    shown_event(page, "person 7")
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Export")
    dialog.get_by_text("Nothing was exported yet.").wait_for()
    assert dialog.get_by_role("button", name="Export").count() == 0
