"""Export from the pages: what is refused, and to whom. (A case by keys alone: ``test_review.py``.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.rights import Role
from tests.service.conftest import RunningApi
from tests.service.web.conftest import add_user, log_in
from tests.service.web.review_world import Told, gate, shown_event

Visit = Callable[[str], Any]


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
